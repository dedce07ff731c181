"""A program under `leakhunt run` behaves as it does alone."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from leakhunt.command import LAUNCH_FOLDER, AgentOptions, armed_environment, find_program
from leakhunt.errors import UsageError
from leakhunt.launch import ExitStatus
from leakhunt.runfolder import read_run

LEAKHUNT = [sys.executable, "-c", "from leakhunt.cli import main; main()"]
PYTHON = sys.executable

Result = tuple[int, bytes, bytes]


def under_leakhunt(command: Sequence[str], folder: Path) -> list[str]:
    return [*LEAKHUNT, "run", "-q", "--interval", "60", "--out", str(folder / "run"), "--", *command]


def outcome(command: Sequence[str], **how: object) -> Result:
    done = subprocess.run(command, check=False, capture_output=True, timeout=60, **how)  # type: ignore[call-overload]
    return done.returncode, done.stdout, done.stderr


def python(code: str) -> list[str]:
    return [PYTHON, "-c", textwrap.dedent(code)]


def script(path: Path, text: str) -> str:
    path.write_text(textwrap.dedent(text))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a command under leakhunt in a process group of its own; whatever is left of it ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(command: Sequence[str], **how: object) -> subprocess.Popen[bytes]:
        running = subprocess.Popen(under_leakhunt(command, tmp_path), stdout=subprocess.PIPE, process_group=0, **how)  # type: ignore[call-overload]
        started.append(running)
        return running

    yield start
    for running in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()


def first_line(running: subprocess.Popen[bytes]) -> bytes:
    assert running.stdout is not None
    return running.stdout.readline()


ENDINGS = {
    "exit 0": python("import sys; print('out'); print('err', file=sys.stderr)"),
    "sys.exit(3)": python("import sys; print('out'); sys.exit(3)"),
    "sys.exit(message)": python("import sys; sys.exit('gone wrong')"),
    "uncaught exception": python("def f(): 1 / 0\nf()"),
    "KeyboardInterrupt": python("raise KeyboardInterrupt"),
    "SIGTERM": python("import os, signal; os.kill(os.getpid(), signal.SIGTERM)"),
    "SIGINT": python("import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)"),
    "SIGKILL": python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
    "SIGSEGV": python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"),
    "real-time signal": python("import os, signal; os.kill(os.getpid(), signal.SIGRTMIN + 3)"),
    "os._exit": python("import os; os.write(1, b'raw'); os._exit(7)"),
    "os.abort": python("import os; os.abort()"),
    "python -m": [PYTHON, "-m", "json.tool", "--help"],
    "console script": [str(Path(PYTHON).with_name("pytest")), "--version"],
    "isolated": [PYTHON, "-I", "-c", "print('isolated')"],
    "no site": [PYTHON, "-S", "-c", "print('no site')"],
    "not Python": ["sh", "-c", "echo out; echo err >&2; exit 9"],
    "the command's own options": ["echo", "--interval", "-q", "--", "--out"],
    "a pipe that breaks": ["sh", "-c", "yes | head -n 1; echo ${?}"],
    "the signals it inherits": ["grep", "^Sig[BI]", "/proc/self/status"],
    "what it inherits": python(
        """
        import os, resource, sys
        status = open("/proc/self/status").read().splitlines()
        print([line for line in status if line.startswith(("SigBlk", "SigIgn", "Umask", "NoNewPrivs"))])
        print(os.getcwd(), os.getsid(0) == os.getsid(os.getppid()), os.getpgrp() == os.getpgid(os.getppid()))
        print(sorted(os.listdir("/proc/self/fd")), sys.argv, sys.path, sys.flags)
        print([resource.getrlimit(n) for n in range(10)], os.nice(0))
        """
    ),
    "what Python looks like": python(
        """
        import sys, threading
        print([path for path in sys.path_importer_cache if "launch" in path], sys.modules.get("sitecustomize"))
        print([thread.name for thread in threading.enumerate()], len(sys.meta_path), len(sys.path_hooks))
        """
    ),
}


@pytest.mark.parametrize("command", ENDINGS.values(), ids=ENDINGS)
def test_a_program_ends_as_it_does_alone(command: list[str], tmp_path: Path) -> None:
    assert outcome(under_leakhunt(command, tmp_path)) == outcome(command)


def test_a_program_reads_the_pipe_on_its_stdin(tmp_path: Path) -> None:
    command = python("import sys; print(sys.stdin.read().upper())")
    assert outcome(under_leakhunt(command, tmp_path), input=b"from a pipe")[1] == b"FROM A PIPE\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-", "2>&-"])
def test_a_closed_stream_stays_closed(closed: str, tmp_path: Path) -> None:
    program = "import os; fds = os.listdir('/proc/self/fd'); os.write(max(1, 2 * ('1' not in fds)), str(fds).encode())"
    both = [f'exec "$@" {closed}', "sh"]
    assert outcome(["sh", "-c", *both, *under_leakhunt([PYTHON, "-c", program], tmp_path)]) == outcome(
        ["sh", "-c", *both, PYTHON, "-c", program]
    )


def test_an_inherited_descriptor_reaches_the_program_and_closes_with_it(start: Start) -> None:
    read_end, write_end = os.pipe()
    command = python(f"import os, time; os.write({write_end}, b'here'); os.close({write_end}); time.sleep(60)")
    start(command, pass_fds=[write_end])
    os.close(write_end)
    assert os.read(read_end, 10) == b"here"
    assert select.select([read_end], [], [], 10)[0], "leakhunt keeps the pipe open"
    assert os.read(read_end, 10) == b""
    os.close(read_end)


def test_a_shell_wrapper_that_execs_is_armed(tmp_path: Path) -> None:
    wrapper = script(tmp_path / "serve", f'#!/bin/sh\nexport MODE=test\nexec {PYTHON} "$@"\n')
    code = "import os, sys; print(os.environ['MODE'], sys.argv, '_leakhunt_agent' in sys.modules)"
    assert outcome(under_leakhunt([wrapper, "-c", code, "x y"], tmp_path)) == (0, b"test ['-c', 'x y'] True\n", b"")


def test_a_script_without_a_first_line_runs_in_sh(tmp_path: Path) -> None:
    assert outcome(under_leakhunt([script(tmp_path / "plain", "echo $0 $1\n"), "x"], tmp_path))[0] == 0


def test_children_are_armed_unless_told_otherwise(tmp_path: Path) -> None:
    code = "import sys; print('_leakhunt_agent' in sys.modules)"
    command = python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])")
    assert outcome(under_leakhunt(command, tmp_path))[1] == b"True\n"
    alone = [*LEAKHUNT, "run", "-q", "--no-children", "--out", str(tmp_path / "alone"), "--", *command]
    assert outcome(alone)[1] == b"False\n"


def test_exec_becomes_the_program(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [*LEAKHUNT, "run", "--exec", "--out", str(tmp_path / "run"), "--", *python("import os; print(os.getpid())")],
        stdout=subprocess.PIPE,
    )
    assert running.communicate(timeout=20)[0] == f"{running.pid}\n".encode()


# --- signals ---------------------------------------------------------------------------------------------------------

COUNTING = """
import os, signal, sys, time
got = []
NUMBER = int(sys.argv[1])
signal.signal(NUMBER, lambda number, frame: got.append(number))
print("ready", flush=True)
deadline = time.monotonic() + 10
while not got and time.monotonic() < deadline:
    time.sleep(0.01)
time.sleep(0.3)
print(len(got), os.getppid(), flush=True)
"""
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
           signal.SIGWINCH, signal.SIGCONT, signal.SIGALRM, signal.SIGTSTP, signal.SIGRTMIN + 1]  # fmt: skip


SLEEPING = python("import os, time; print(os.getpid(), flush=True); time.sleep(60)")


def to_leakhunt(running: subprocess.Popen[bytes], number: int) -> None:
    running.send_signal(number)


def to_the_group(running: subprocess.Popen[bytes], number: int) -> None:
    os.killpg(running.pid, number)


def to_every_process(running: subprocess.Popen[bytes], number: int) -> None:
    """As a service manager does, one by one, the program first, and leakhunt when the program is gone."""
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    for pid in map(int, children):
        os.kill(pid, number)
    time.sleep(0.1)
    os.kill(running.pid, number)


@pytest.mark.parametrize("send", [to_leakhunt, to_the_group, to_every_process])
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: signal.Signals(number).name if number < 32 else "RT")
def test_a_signal_arrives_once(number: int, send: Callable[..., None], start: Start) -> None:
    running = start([PYTHON, "-c", COUNTING, str(int(number))])
    assert first_line(running) == b"ready\n"
    send(running, number)
    assert running.communicate(timeout=20)[0].split()[0] == b"1"
    assert running.returncode == 0


def test_what_went_to_the_group_before_does_not_hide_what_goes_to_leakhunt_now(start: Start) -> None:
    code = """
        import os, signal, sys, time
        signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"usr1\\n"))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        print("ready", flush=True)
        while True: time.sleep(0.01)
        """
    running = start(python(code))
    assert first_line(running) == b"ready\n"
    for send in (to_the_group, to_leakhunt, to_leakhunt, to_the_group):
        send(running, signal.SIGUSR1)
        time.sleep(0.5)
    to_leakhunt(running, signal.SIGTERM)
    assert running.communicate(timeout=10)[0] == b"usr1\n" * 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_what_kills_leakhunt_kills_the_program(number: int, start: Start) -> None:
    running = start(SLEEPING, stderr=subprocess.DEVNULL)
    pid = int(first_line(running))
    running.send_signal(number)
    assert running.wait(10) == -number
    assert gone(pid)


@pytest.mark.parametrize("send", [to_leakhunt, to_the_group, to_every_process])
@pytest.mark.parametrize("asked_for", [[], ["--fail-on-leak"]], ids=["", "--fail-on-leak"])
def test_told_to_end_it_leaves_the_analysis_for_later(
    send: Callable[..., None], asked_for: list[str], tmp_path: Path
) -> None:
    command = [*LEAKHUNT, "run", "--out", "run", *asked_for, "--", *SLEEPING]
    running = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
    )  # fmt: skip
    first_line(running)
    send(running, signal.SIGTERM)
    said = running.communicate(timeout=30)[1].decode()
    assert running.returncode == -signal.SIGTERM
    assert ("stopped; `leakhunt report run` shows what was seen" in said) == (not asked_for)
    assert read_run(tmp_path / "run").info["exit_status"] == 128 + signal.SIGTERM


def test_killing_the_program_ends_leakhunt_the_same_way(start: Start) -> None:
    running = start(SLEEPING)
    os.kill(int(first_line(running)), signal.SIGKILL)
    assert running.wait(10) == -signal.SIGKILL


def test_no_process_of_leakhunt_outlives_the_run(tmp_path: Path) -> None:
    code = "import os; print(open(f'/proc/{os.getppid()}/task/{os.getppid()}/children').read())"
    children = outcome(under_leakhunt(python(code), tmp_path))[1].split()
    assert len(children) >= 1
    assert all(gone(int(pid)) for pid in children)


def gone(pid: int, seconds: float = 5.0) -> bool:
    return state_becomes(pid, "XZ", seconds)


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def state_becomes(pid: int, wanted: str, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while state(pid) not in wanted:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


# --- job control -----------------------------------------------------------------------------------------------------


@pytest.fixture
def ticking(start: Start) -> tuple[int, int]:
    """A program that runs for ever under leakhunt: (leakhunt's pid, its own)."""
    running = start(python("import os, time; print(os.getpid(), flush=True)\nwhile True: time.sleep(0.01)"))
    return running.pid, int(first_line(running))


def test_a_stop_stops_both_and_continue_continues_both(ticking: tuple[int, int]) -> None:
    leakhunt, program = ticking
    os.kill(leakhunt, signal.SIGTSTP)
    assert state_becomes(program, "T")
    assert state_becomes(leakhunt, "T")
    os.kill(leakhunt, signal.SIGCONT)
    assert state_becomes(program, "SR")
    assert state_becomes(leakhunt, "S")


def test_leakhunt_wakes_when_only_the_program_is_continued(ticking: tuple[int, int]) -> None:
    leakhunt, program = ticking
    os.killpg(leakhunt, signal.SIGTSTP)
    assert state_becomes(leakhunt, "T")
    os.kill(program, signal.SIGCONT)
    assert state_becomes(leakhunt, "S")


def test_leakhunt_wakes_when_the_stopped_program_is_killed(ticking: tuple[int, int]) -> None:
    leakhunt, program = ticking
    os.killpg(leakhunt, signal.SIGTSTP)
    assert state_becomes(leakhunt, "T")
    os.kill(program, signal.SIGKILL)
    assert gone(leakhunt)


def test_a_bare_stop_of_the_program_concerns_the_program_only(ticking: tuple[int, int]) -> None:
    leakhunt, program = ticking
    os.kill(program, signal.SIGSTOP)
    assert state_becomes(program, "T")
    time.sleep(0.2)
    assert state(leakhunt) == "S"


# A shell's job control in a few lines: a job in the foreground, Ctrl-Z, fg.
SMALL_SHELL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    _, status = os.waitpid(pid, os.WUNTRACED)
    os.tcsetpgrp(0, os.getpgrp())
    if not os.WIFSTOPPED(status):
        break
    print("shell: stopped", flush=True)
    os.tcsetpgrp(0, pid)
    os.killpg(pid, signal.SIGCONT)
print("shell: ended", os.waitstatus_to_exitcode(status), flush=True)
"""

ON_A_TERMINAL = """
import os, sys, time
print("tty", [os.isatty(fd) for fd in range(3)], os.get_terminal_size(), flush=True)
interrupts = 0
while True:
    try:
        print("got", input("> "), flush=True)
    except KeyboardInterrupt:
        interrupts += 1
        print("interrupt", interrupts, flush=True)
    except EOFError:
        sys.exit(5)
"""


def typed(command: Sequence[str], keys: Sequence[tuple[str, str]]) -> str:
    """The screen of a shell job on a terminal; each key stroke waits for the text before it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(PYTHON, [PYTHON, "-c", SMALL_SHELL, *command])
    screen = ""
    for awaited, key in keys:
        screen += read_until(terminal, awaited)
        time.sleep(0.1)
        os.write(terminal, key.encode())
    screen += read_until(terminal, "shell: ended")
    screen += read_until(terminal, "\n")
    os.waitpid(pid, 0)
    os.close(terminal)
    return screen


def read_until(terminal: int, awaited: str, seconds: float = 15.0) -> str:
    heard = ""
    while awaited not in heard:
        assert select.select([terminal], [], [], seconds)[0], f"no {awaited!r} after {heard!r}"
        try:
            heard += os.read(terminal, 1).decode()
        except OSError:
            break
    return heard


def test_a_terminal_serves_the_program_as_without_leakhunt(tmp_path: Path) -> None:
    keys = [("> ", "hello\n"), ("> ", "\x03"), ("interrupt 1\r\n> ", "\x1a"), ("stopped", "back\n"), ("> ", "\x04")]
    command = [PYTHON, "-c", ON_A_TERMINAL]
    under = typed(under_leakhunt(command, tmp_path), keys)
    assert "tty [True, True, True]" in under
    assert "interrupt 1" in under
    assert "interrupt 2" not in under
    assert "got back" in under
    assert "shell: ended 5" in under
    assert under.split() == typed(command, keys).split()


def test_ctrl_c_ends_a_program_on_a_terminal_as_without_leakhunt(tmp_path: Path) -> None:
    command = python("import time; print('ready', flush=True); time.sleep(60)")
    under = typed(under_leakhunt(command, tmp_path), [("ready", "\x03")])
    assert under.endswith("shell: ended -2\r\n")
    assert under == typed(command, [("ready", "\x03")])


# --- PID 1 -----------------------------------------------------------------------------------------------------------

NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
can_unshare = shutil.which("unshare") is not None and outcome([*NAMESPACE, "true"])[0] == 0
needs_namespaces = pytest.mark.skipif(not can_unshare, reason="no permission to make a PID namespace")


@needs_namespaces
def test_as_pid_1_it_reaps_orphans(tmp_path: Path) -> None:
    code = """
        import os, subprocess, time
        subprocess.run(["sh", "-c", "sh -c 'sleep 0.2' & exit 0"])
        time.sleep(0.8)
        states = [open(f"/proc/{pid}/stat").read().split()[2] for pid in os.listdir("/proc") if pid.isdigit()]
        print(os.getppid(), "Z" in states)
        """
    assert outcome([*NAMESPACE, *under_leakhunt(python(code), tmp_path)])[:2] == (0, b"1 False\n")


@needs_namespaces
def test_as_pid_1_it_exits_by_the_number_of_the_signal(tmp_path: Path) -> None:
    command = python("import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    assert outcome([*NAMESPACE, *under_leakhunt(command, tmp_path)])[0] == 128 + signal.SIGTERM


@needs_namespaces
def test_as_pid_1_it_forwards_the_signal_of_a_container_stop(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [*NAMESPACE, *under_leakhunt(python("import time; print('ready', flush=True); time.sleep(60)"), tmp_path)],
        stdout=subprocess.PIPE,
    )
    assert running.stdout is not None
    running.stdout.readline()
    first = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()[0]
    os.kill(int(first), signal.SIGTERM)
    assert running.wait(10) == 128 + signal.SIGTERM


# --- sitecustomize ---------------------------------------------------------------------------------------------------


def interpreters() -> list[str]:
    """Every Python at hand, older ones than the agent serves as well."""
    names = ["python2.7", *(f"python3.{minor}" for minor in range(6, 16))]
    found = [path for name in names if (path := shutil.which(name))]
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [path for path in found if ".pyenv/shims" not in path]
    return found + [str(path) for path in sorted(root.glob("versions/*/bin/python"))]


SITECUSTOMIZES = {
    "none": None,
    "one": "import sys; sys.stderr.write('mine, %s\\n' % __name__)",
    "one that fails": "1 / 0",
    "one that lacks a module": "import no_such_module",
    "one that exits": "raise SystemExit(4)",
    "one that imports itself": "import sitecustomize; sitecustomize.mark = 1",
}


@pytest.mark.parametrize("interpreter", interpreters())
@pytest.mark.parametrize("text", SITECUSTOMIZES.values(), ids=SITECUSTOMIZES)
def test_the_users_sitecustomize_runs_as_without_leakhunt(interpreter: str, text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "sitecustomize.py").write_text(text)
    code = "import sys; m = sys.modules.get('sitecustomize'); print(sys.path, m, getattr(m, 'mark', 0))"
    command = [interpreter, "-B", "-c", code]
    alone = {**os.environ, "PYTHONPATH": str(tmp_path)}
    (tmp_path / "run").mkdir()
    armed = armed_environment(alone, tmp_path / "run", AgentOptions())
    assert without_traceback(outcome(command, env=armed)) == without_traceback(outcome(command, env=alone))


def without_traceback(result: Result) -> Result:
    """Where Python dies in a sitecustomize, our frames and our accelerator are in what it prints."""
    status, out, err = result
    lines = [line for line in err.splitlines() if line and not line.startswith((b"  ", b"Extension modules"))]
    return status, out, b"\n".join(lines)


def test_an_agent_that_cannot_start_tells_the_run_folder_and_leaves(tmp_path: Path) -> None:
    launch_folder = tmp_path / "agent" / "launch"
    launch_folder.mkdir(parents=True)
    shutil.copy(LAUNCH_FOLDER / "sitecustomize.py", launch_folder)
    (tmp_path / "agent" / "__init__.py").write_text("def arm(*arguments): raise ValueError(f'a\\nb {arguments}')")
    run = tmp_path / "run"
    run.mkdir(0o700)
    environment = {**os.environ, "PYTHONPATH": str(launch_folder), "LEAKHUNT_RUN": str(run), "LEAKHUNT_OPTIONS": "x=1"}
    code = "import sys; print([name for name in sys.modules if name.startswith('_leakhunt')])"
    status, out, err = outcome(python(code), env=environment)
    assert (status, out, err) == (0, b"[]\n", b"")
    (process,) = read_run(run).processes
    assert process.problems.startswith("it is not measured: ValueError: a b (")


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_users_pythonpath_stays_behind_ours() -> None:
    armed = armed_environment({"PYTHONPATH": "/a:/b"}, Path("run"), AgentOptions(interval=0.5))
    assert armed["PYTHONPATH"].split(":")[1:] == ["/a", "/b"]
    assert Path(armed["LEAKHUNT_RUN"]).is_absolute()
    assert armed["LEAKHUNT_OPTIONS"].startswith("interval=0.5,deep=auto,collect=never,budget=0.01,children=1")


HAS_C_ENGINE = (LAUNCH_FOLDER.parent / "_walk.abi3.so").exists()


@pytest.mark.parametrize(
    "engine",
    [pytest.param("c", marks=pytest.mark.skipif(not HAS_C_ENGINE, reason="the C engine is not built")), "python"],
)
def test_the_engine_that_was_asked_for_takes_the_snapshots(engine: str, tmp_path: Path) -> None:
    options = ["-q", "--engine", engine, "--interval", "60", "--out", "run"]
    subprocess.run(
        [*LEAKHUNT, "run", *options, "--", *python("import time; time.sleep(0.4)")],
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    (process,) = read_run(tmp_path / "run").processes
    assert process.info["engine"] == engine


def test_arming_twice_is_arming_once() -> None:
    once = armed_environment({}, Path("run"), AgentOptions())
    assert armed_environment(once, Path("run"), AgentOptions()) == once


def test_a_command_that_cannot_run_is_wrong_use_with_advice(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("")
    (tmp_path / "data").write_text("")
    for name, advice in [
        ("pythom3", "python3"),
        (str(tmp_path), "a directory"),
        (str(tmp_path / "app.py"), "run -- python"),
        (str(tmp_path / "data"), "permission"),
        (str(tmp_path / "dat"), "no command"),
    ]:
        with pytest.raises(UsageError) as refused:
            find_program(name)
        assert advice in str(refused.value)


def test_the_number_of_an_exit_status_is_the_shells() -> None:
    assert [ExitStatus(code=3).number, ExitStatus(signal=9).number, ExitStatus(code=0).number] == [3, 137, 0]
