"""A program that `leakhunt run` could not arm is attached to, and behaves as it does alone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from targets import interpreters

from leakhunt.attach.unarmed import why_unarmed
from leakhunt.runfolder import read_run

LEAKHUNT = [sys.executable, "-c", "from leakhunt.cli import main; main()"]
PYTHON = os.path.realpath(sys.executable)
LAUNCH = "/opt/leakhunt/agent/launch"
ARMED = {"LEAKHUNT_RUN": "/run", "PYTHONPATH": f"{LAUNCH}:/app"}

LEAKING = """
    import sys, time
    class Session: pass
    SESSIONS = []
    end = time.monotonic() + 6
    while time.monotonic() < end:
        SESSIONS.extend(Session() for _ in range(20))
        time.sleep(0.02)
    print("out")
    sys.exit(3)
"""


@pytest.fixture
def app(tmp_path: Path) -> str:
    path = tmp_path / "app.py"
    path.write_text(textwrap.dedent(LEAKING))
    return str(path)


def run(folder: Path, *command: str, options: tuple[str, ...] = (), **how: object) -> subprocess.CompletedProcess[str]:
    words = [*LEAKHUNT, "run", "--interval", "0.3", "--out", str(folder / "run"), *options, "--", *command]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, **how)  # type: ignore[call-overload]


# --- how it was started tells ----------------------------------------------------------------------------------------

COMMANDS = {
    "python app.py": "",
    "python -u app.py -I": "",
    "python -m app -E": "",
    "python -c pass -S": "",
    "python -W error -X dev app.py": "",
    "python -Werror app.py": "",
    "python --check-hash-based-pycs always app.py": "",
    "python": "",
    "python - -I": "",
    "python -I app.py": "runs with -I",
    "python -E": "runs with -E",
    "python -sS -m app": "runs with -S",
    "python -W error -I app.py": "runs with -I",
    "python -uIc pass": "runs with -I",
}


@pytest.mark.parametrize(("command", "why"), COMMANDS.items())
def test_a_flag_that_keeps_the_agent_out_is_found(command: str, why: str) -> None:
    assert why_unarmed(command.split(), ARMED, LAUNCH) == why


def test_an_environment_that_keeps_the_agent_out_is_found(tmp_path: Path) -> None:
    (tmp_path / "auto").mkdir()
    (tmp_path / "auto" / "sitecustomize.py").touch()
    (tmp_path / "other").mkdir()

    def why(**changed: str) -> str:
        return why_unarmed(["python", "app.py"], {**ARMED, **changed}, LAUNCH)

    assert why_unarmed(["python", "app.py"], {"PATH": "/bin"}, LAUNCH) == (
        "was started without the environment of leakhunt"
    )
    assert why(PYTHONPATH="/app") == "was started with another PYTHONPATH"
    assert why(PYTHONPATH=f"{tmp_path}/auto:{LAUNCH}") == f"loads the sitecustomize of {tmp_path}/auto"
    assert why(PYTHONPATH=f"{tmp_path}/other:{LAUNCH}") == ""
    assert why(PYTHONPATH=f"{LAUNCH}:{tmp_path}/auto") == ""


# --- real programs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["-I", "-E", "-S"])
def test_a_program_started_with_a_flag_gets_its_report(flag: str, app: str, tmp_path: Path) -> None:
    done = run(tmp_path, PYTHON, flag, app)
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert re.search(
        rf"^leakhunt: process \d+ runs with {flag}, so leakhunt attached to it$", done.stderr, re.MULTILINE
    )
    assert "__main__.Session" in done.stderr
    assert len(read_run(tmp_path / "run").processes[0].snapshots) >= 4


def test_so_does_one_whose_environment_was_cleared(app: str, tmp_path: Path) -> None:
    done = run(tmp_path, "env", "-i", PYTHON, app)
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert "was started without the environment of leakhunt, so leakhunt attached to it" in done.stderr
    assert "__main__.Session" in done.stderr


def test_so_does_one_with_a_sitecustomize_before_ours(app: str, tmp_path: Path) -> None:
    """As `opentelemetry-instrument` and `ddtrace-run` start a program."""
    folder = tmp_path / "auto"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("print('instrumented', flush=True)")
    wrapper = f"""if True:
        import os, sys
        os.environ["PYTHONPATH"] = {str(folder)!r} + ":" + os.environ["PYTHONPATH"]
        os.execv(sys.argv[1], sys.argv[1:])
    """
    done = run(tmp_path, PYTHON, "-c", wrapper, PYTHON, app)
    assert (done.returncode, done.stdout) == (3, "instrumented\nout\n")
    assert f"loads the sitecustomize of {folder}, so leakhunt attached to it" in done.stderr
    assert "__main__.Session" in done.stderr


@pytest.mark.parametrize("interpreter", [i for i in interpreters() if i.root == Path("/")], ids=lambda i: i.name)
def test_on_every_interpreter(interpreter: object, app: str, tmp_path: Path) -> None:
    done = run(tmp_path, *interpreter.command, "-I", app)  # type: ignore[attr-defined]
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert "so leakhunt attached to it" in done.stderr and "__main__.Session" in done.stderr


def test_no_attach_leaves_it_alone(app: str, tmp_path: Path) -> None:
    done = run(tmp_path, PYTHON, "-I", app, options=("--no-attach",))
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert "No Python process reported in" in done.stderr and not read_run(tmp_path / "run").processes


def test_what_ends_in_its_first_moments_is_not_touched(tmp_path: Path) -> None:
    begun = time.monotonic()
    done = run(tmp_path, PYTHON, "-I", "-c", "raise SystemExit(5)")
    assert done.returncode == 5 and "No Python process reported in" in done.stderr
    assert time.monotonic() - begun < 20


def test_what_is_no_python_is_not_touched(tmp_path: Path) -> None:
    done = run(tmp_path, "sh", "-c", "sleep 2; exit 9")
    assert done.returncode == 9 and "so leakhunt attached" not in done.stderr
    assert "No Python process reported in" in done.stderr


def test_an_armed_program_is_not_attached_to(app: str, tmp_path: Path) -> None:
    done = run(tmp_path, PYTHON, app, options=("-v",))
    assert done.returncode == 3 and "so leakhunt attached" not in done.stderr


def test_verbose_says_so_at_the_moment(app: str, tmp_path: Path) -> None:
    command = [*LEAKHUNT, "run", "-v", "--out", str(tmp_path / "run"), "--", PYTHON, "-I", app]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        said = [process.stderr.readline(), process.stderr.readline()]
        assert "attached to it" in said[1] and process.poll() is None
        assert process.communicate(timeout=60)[1].count("attached to it") == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_and_endings_stay_the_programs_own(number: signal.Signals, tmp_path: Path) -> None:
    """Sent to leakhunt, taken by the program that is attached to."""
    code = """if True:
        import signal, time
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: print("got", number, flush=True))
        print("ready", flush=True)
        while True: time.sleep(0.05)
    """
    command = [*LEAKHUNT, "run", "--interval", "0.2", "--out", str(tmp_path / "run"), "--", PYTHON, "-I", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("run/pid-*/*.leak")) and time.monotonic() < deadline:
            time.sleep(0.05)
        (pid,) = [found.pid for found in read_run(tmp_path / "run").processes]
        if number != signal.SIGKILL:
            process.send_signal(number)
            assert process.stdout.readline() == f"got {number.value}\n"
        os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert json.loads((tmp_path / "run" / "run.json").read_text())["exit_status"] == 128 + signal.SIGKILL


def test_killing_leakhunt_kills_the_program_and_ends_what_is_beside_it(tmp_path: Path) -> None:
    code = "import os, time; print(os.getppid(), flush=True); time.sleep(60)"
    command = [*LEAKHUNT, "run", "--interval", "0.2", "--out", str(tmp_path / "run"), "--", PYTHON, "-I", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 3  # the program, its companion and its witness
        time.sleep(1)
        process.kill()
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in children if is_running(pid)]


def is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
