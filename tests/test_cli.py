"""The command line: sentences, exit statuses, and nothing else."""

from __future__ import annotations

import importlib
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from leakhunt.cli import COMMANDS
from leakhunt.cli.app import invoke
from leakhunt.cli.app import leakhunt as group
from leakhunt.cli.output import emit, pick_format
from leakhunt.errors import LeakhuntError, UsageError

LEAKHUNT = [sys.executable, "-c", "from leakhunt.cli import main; main()"]


def run(*arguments: str, **how: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LEAKHUNT, *arguments], check=False, capture_output=True, text=True, timeout=60, **how)  # type: ignore[call-overload,no-any-return]


def sentence(text: str) -> str:
    """The one line that a refusal prints."""
    assert text.startswith("leakhunt: ")
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    return text


# --- help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_can_be_quiet(name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    text = command.get_help(click.Context(command))
    assert f"Example:  leakhunt {name} " in text
    assert "-q, --quiet" in text
    assert "-v, --verbose" in text


def test_no_arguments_is_a_request_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([]) == 0
    assert "leakhunt run -- python app.py" in capsys.readouterr().out


def test_help_and_launching_load_nothing_heavy() -> None:
    code = """if True:
        import sys
        from leakhunt.cli.app import invoke
        import leakhunt.cli.live, leakhunt.cli.run
        invoke(["--help"])
        heavy = {"numpy", "scipy", "matplotlib", "rich", "textual", "jinja2"}
        heavy |= {"leakhunt.pipeline", "leakhunt.snapshot"}
        sys.exit(", ".join(heavy & set(sys.modules)))
        """
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "\n")


# --- bad input -------------------------------------------------------------------------------------------------------


def test_a_leakhunt_toml_that_cannot_be_used_is_told_of_before_the_program_begins(tmp_path: Path) -> None:
    (tmp_path / "leakhunt.toml").write_text("[[harmles]]\nowner = 'a.b'")
    for command in (["run", "--out", "r", "--", "touch", "ran"], ["attach", str(os.getpid()), "--out", "r"]):
        done = run(*command, cwd=tmp_path)
        assert done.returncode == 2
        assert "leakhunt.toml holds 'harmles'" in sentence(done.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["leakhunt.toml"]


WRONG_USE = {
    "unknown command of leakhunt": (["rum"], "Did you mean run?"),
    "no command to run": (["run"], "Missing argument"),
    "unknown command": (["run", "--", "pyhton3"], "Did you mean"),
    "a path that is not there": (["run", "--", "./no/such/program"], "no command"),
    "a directory": (["run", "--", "/"], "is a directory"),
    "an interval that is none": (["run", "--interval", "0", "--", "true"], "--interval"),
    "an interval that is no number": (["run", "--interval", "soon", "--", "true"], "--interval"),
    "an infinite interval": (["run", "--interval", "inf", "--", "true"], "--interval"),
    "a deep that is none": (["run", "--deep", "sometimes", "--", "true"], "auto, never, every"),
    "a collect that is none": (["run", "--collect", "always", "--", "true"], "before-deep"),
    "a budget of more than everything": (["run", "--budget", "2", "--", "true"], "--budget"),
    "unknown option": (["run", "--intervall", "2", "--", "true"], "intervall"),
    "html to nowhere": (["run", "--html", "no/such/dir/x.html", "--", "true"], "cannot be written"),
    "html of a program that leakhunt becomes": (["run", "--exec", "--html", "x.html", "--", "true"], "--exec"),
    "unknown report format": (["report", "x", "--format", "xml"], "Choose one of"),
    "one snapshot to compare": (["diff", "1.leak"], "two or three"),
    "one run to compare": (["compare", "run1"], "a comparison takes two"),
    "a comparison in a format that is none": (["compare", "a", "b", "--format", "xml"], "Choose one of"),
    "chains of nothing": (["chains", "1.leak"], "--type"),
    "a graph format that is none": (["backrefs", "1.leak", "--type", "T", "-o", "g.gif"], "Choose one of"),
    "a graph to nowhere": (["backrefs", "1.leak", "--type", "T", "-o", "no/such/dir/g.svg"], "cannot be written"),
    "a plot over a directory": (["plot", "x", "-o", "/"], "cannot be written"),
    "a plot format that is none": (["plot", "x", "-o", "x.gif"], "Choose one of"),
    "a pid that is none": (["doctor", "zero"], "zero"),
    "a view of a process without a terminal": (["live", "4711"], "`leakhunt attach 4711`"),
    "a view of a run without a terminal": (["live", "run1"], "`leakhunt report run1`"),
}


@pytest.mark.parametrize(("arguments", "words"), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_a_sentence_and_exit_2(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(arguments) == 2
    out, err = capfd.readouterr()
    assert words in sentence(err)
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_run_folder_that_exists_is_refused_before_anything_runs(tmp_path: Path) -> None:
    assert run("run", "-q", "--out", str(tmp_path / "r"), "--", "true").returncode == 0
    again = run("run", "--out", str(tmp_path / "r"), "--", "touch", str(tmp_path / "ran"))
    assert again.returncode == 2
    assert "already holds a run" in sentence(again.stderr)
    assert not (tmp_path / "ran").exists()


def test_a_script_whose_interpreter_is_missing_is_refused_and_leaves_no_folder(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    done = run("run", "--out", str(tmp_path / "r"), "--", str(script))
    assert done.returncode == 2
    assert "#! line" in sentence(done.stderr)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("command", ["report", "plot"])
def test_a_run_that_is_not_there_is_a_sentence_and_exit_3(
    command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert invoke([command, str(tmp_path / "none")]) == 3
    assert "There is no run folder" in sentence(capfd.readouterr().err)


def test_an_unforeseen_failure_is_a_sentence_unless_debugging(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("odd")

    monkeypatch.setattr("leakhunt.cli.doctor.machine_checks", fail)
    assert invoke(["doctor"]) == 3
    assert "This is a bug in leakhunt (KeyError: 'odd')" in sentence(capfd.readouterr().err)
    monkeypatch.setenv("LEAKHUNT_DEBUG", "1")
    assert invoke(["doctor"]) == 3
    assert "Traceback" in capfd.readouterr().err


def test_ctrl_c_is_silent(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("leakhunt.cli.doctor.machine_checks", interrupt)
    assert invoke(["doctor"]) == 130
    assert capfd.readouterr().err.strip() == ""


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_reader_that_went_away_is_silent(size: int) -> None:
    code = f"""if True:
        import sys
        from leakhunt.cli import app, doctor, output
        doctor.machine_checks = lambda: output.emit("x" * {size}, None) or ()
        sys.exit(app.invoke(["doctor"]))
        """
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run([sys.executable, "-c", code], check=False, stdout=write_end, stderr=subprocess.PIPE)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (141, b"")


def test_ctrl_c_while_modules_load_leaves_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)")
    done = run("--help", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


# --- output ----------------------------------------------------------------------------------------------------------


def test_the_format_is_named_or_told_by_the_suffix() -> None:
    choices = ["text", "json", "html"]
    assert pick_format(None, None, choices, "text") == "text"
    assert pick_format(None, "-", choices, "text") == "text"
    assert pick_format(None, "out/x.HTM", choices, "text") == "html"
    assert pick_format("JSON", "x.html", choices, "text") == "json"
    with pytest.raises(UsageError):
        pick_format(None, "x.pdf", choices, "text")


def test_output_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    for place, words in [("no/dir/x", "No such file"), ("", "Is a directory")]:
        with pytest.raises(LeakhuntError, match=words):
            emit("text", str(tmp_path / place))
    if os.path.exists("/dev/full"):
        with pytest.raises(LeakhuntError, match="No space left"):
            emit(b"picture", "/dev/full")
        assert os.path.exists("/dev/full")


@pytest.mark.parametrize("arguments", [["--help"], ["doctor"]])
def test_a_full_stdout_is_a_sentence(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*LEAKHUNT, *arguments], check=False, stdout=full, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
        )  # fmt: skip
    assert "No space left" in sentence(done.stderr)
    assert done.returncode == 3


@pytest.mark.parametrize(("data", "refused"), [(b"\x89PNG\0\0", True), (b"<svg/>", False)])
def test_a_picture_is_not_thrown_at_a_terminal(data: bytes, refused: bool) -> None:
    code = f"""if True:
        from leakhunt.cli.output import emit
        from leakhunt.errors import UsageError
        import sys
        try: emit({data!r}, None)
        except UsageError: sys.exit(2)
        """
    manager, terminal = pty.openpty()
    done = subprocess.run([sys.executable, "-c", code], check=False, stdout=terminal)
    os.close(terminal)
    os.close(manager)
    assert done.returncode == (2 if refused else 0)


@pytest.mark.parametrize(("setting", "colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_is_for_terminals_that_want_it(setting: dict[str, str], colored: bool) -> None:
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    manager, terminal = pty.openpty()
    subprocess.run([*LEAKHUNT, "doctor"], check=True, stdout=terminal, env={**clean, "TERM": "xterm", **setting})
    os.close(terminal)
    assert (b"\x1b[" in os.read(manager, 65536)) is colored
    os.close(manager)
    assert "\x1b[" not in run("doctor", env={**clean, "TERM": "xterm"}).stdout


def test_doctor_of_a_process_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    assert invoke(["doctor", "4194304"]) == 3
    assert "There is no process" in sentence(capfd.readouterr().err)


def test_doctor_says_for_each_thing_whether_it_works() -> None:
    lines = run("doctor").stdout.splitlines()
    assert lines[0].startswith("ok  leakhunt ")
    assert any("growth plots" in line for line in lines)


# --- run -------------------------------------------------------------------------------------------------------------

SHORT = [sys.executable, "-c", "print('result')"]


def test_quiet_leaves_the_programs_output_alone(tmp_path: Path) -> None:
    done = run("run", "-q", "--out", str(tmp_path / "r"), "--", *SHORT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "result\n", "")


@pytest.mark.parametrize("command", [["sh", "-c", "exit 5"], [sys.executable, "-I", "-c", "raise SystemExit(5)"]])
def test_a_program_that_never_reported_in_is_explained_and_keeps_its_status(command: list[str], tmp_path: Path) -> None:
    done = run("run", "--out", str(tmp_path / "r"), "--", *command)
    assert done.returncode == 5
    assert "No Python process reported in" in sentence(done.stderr)
    assert "leakhunt attach PID" in done.stderr


def with_pipeline(tmp_path: Path, body: str) -> dict[str, str]:
    """An environment in which `leakhunt.pipeline` is the given text."""
    (tmp_path / "fake.py").write_text(
        "import sys, types\n"
        "module = sys.modules['leakhunt.pipeline'] = types.ModuleType('leakhunt.pipeline')\n"
        f"exec({body!r}, module.__dict__)\n"
        "from leakhunt.cli import main\n"
        "main()\n"
    )
    return {**os.environ, "FAKE": str(tmp_path / "fake.py")}


def run_faked(tmp_path: Path, body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = with_pipeline(tmp_path, body)
    command = [sys.executable, environment["FAKE"], *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment)


LEAK = """
from leakhunt.findings import Findings, RunSummary
def hunt(path, progress=None, known=None):
    return Findings(RunSummary(("app",), 1.0, 1, "3.11"), "leak", summary="It leaks.")
"""


def test_fail_on_leak_asks_for_exit_1(tmp_path: Path) -> None:
    options = ("run", "-q", "--fail-on-leak", "--out", str(tmp_path / "r"), "--")
    assert run_faked(tmp_path, LEAK, *options, *SHORT).returncode == 1
    assert run_faked(tmp_path, LEAK, "run", "-q", "--out", str(tmp_path / "r2"), "--", *SHORT).returncode == 0
    assert run_faked(tmp_path, LEAK, "report", str(tmp_path / "r"), "--fail-on-leak").returncode == 1


def test_fail_on_leak_keeps_a_failure_of_the_programs_own(tmp_path: Path) -> None:
    options = ("run", "-q", "--fail-on-leak", "--out", str(tmp_path / "r"), "--")
    assert run_faked(tmp_path, LEAK, *options, sys.executable, "-c", "raise SystemExit(7)").returncode == 7


def test_the_report_goes_to_stderr_and_names_the_folder(tmp_path: Path) -> None:
    done = run_faked(tmp_path, LEAK, "run", "--out", str(tmp_path / "r"), "--", *SHORT)
    assert done.stdout == "result\n"
    assert "It leaks." in done.stderr
    assert f"leakhunt report {tmp_path / 'r'}" in done.stderr


@pytest.mark.parametrize(
    "failure", ["raise ValueError('odd')", "raise MemoryError", "raise KeyboardInterrupt", "raise OSError(28, 'full')"]
)
def test_an_analysis_that_fails_never_changes_the_exit_status(failure: str, tmp_path: Path) -> None:
    body = f"def hunt(path, progress=None, known=None): {failure}"
    options = ("run", "--fail-on-leak", "--out", str(tmp_path / "r"), "--")
    done = run_faked(tmp_path, body, *options, sys.executable, "-c", "raise SystemExit(6)")
    assert done.returncode == 6
    sentence(done.stderr)


def test_a_signal_death_is_kept_behind_the_report(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    code = f"""if True:
        import os
        while not any(name.startswith("pid-") for name in os.listdir({str(folder)!r})): pass
        os.kill(os.getpid(), {int(signal.SIGTERM)})
        """
    done = run_faked(tmp_path, LEAK, "run", "--out", str(folder), "--", sys.executable, "-c", code)
    assert done.returncode == -signal.SIGTERM
    assert "It leaks." in done.stderr


def test_ctrl_c_during_the_analysis_keeps_the_status_and_says_how_to_go_on(tmp_path: Path) -> None:
    body = "print('hunting', flush=True, file=sys.stderr); time.sleep(60)"
    hunt = f"import sys, time\ndef hunt(path, progress=None, known=None): {body}"
    environment = with_pipeline(tmp_path, hunt)
    command = [sys.executable, environment["FAKE"], "run", "--out", str(tmp_path / "r"), "--", *SHORT]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    assert running.stderr is not None
    assert running.stderr.readline() == "hunting\n"
    time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    assert "leakhunt report" in sentence(running.communicate(timeout=10)[1])
    assert running.returncode == 0


def test_a_full_disk_in_the_run_folder_leaves_the_program_alone(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    code = f"import os; os.unlink({str(folder / 'run.json')!r}); os.mkdir({str(folder / 'run.json')!r}); print('fine')"
    done = run("run", "--out", str(folder), "--", "sh", "-c", f'"{sys.executable}" -S -c "{code}"')
    assert (done.returncode, done.stdout) == (0, "fine\n")
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_all_commands_load() -> None:
    for place in COMMANDS.values():
        module, _, attribute = place.partition(":")
        assert isinstance(getattr(importlib.import_module(module), attribute), click.Command)


def test_words_of_a_target_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    from leakhunt.cli.output import say

    say("measured into \x1b]0;PWNED\x07\x1b[31m\x9b2J\u202e\udcff, grün\nand more")
    assert capsys.readouterr().err == (
        "leakhunt: measured into \\x1b]0;PWNED\\x07\\x1b[31m\\x9b2J\\u202e\\udcff, grün\nand more\n"
    )
