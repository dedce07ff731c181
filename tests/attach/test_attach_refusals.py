"""Each refusal comes before any harm, says why, and says what to type next."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from targets import hostile_target, interpreters

from leakhunt.attach import BY_NAME, METHODS, Request, attach, procfs, refusals
from leakhunt.attach.procfs import Mapping, Status
from leakhunt.attach.refusals import Reason
from leakhunt.attach.target import Target
from leakhunt.errors import AttachError, UsageError

PTRACE, PEP768 = BY_NAME["ptrace"], BY_NAME["pep768"]
IS_ROOT = os.geteuid() == 0


@contextmanager
def running(*command: str, **how: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **how)  # type: ignore[call-overload]
    try:
        time.sleep(0.3)
        yield process
    finally:
        process.kill()
        process.wait()


def sleeping_python(**how: object) -> object:
    return running(sys.executable, "-c", "import time; time.sleep(100)", **how)


def refused(pid: int, words: str, remedy: str) -> None:
    """Every way says no, in one sentence, with a remedy."""
    reasons = [method.why_not(pid) for method in METHODS]
    assert all(reasons)
    assert words in str(reasons[-1])
    assert isinstance(reasons[-1], Reason)
    assert remedy in reasons[-1].remedy
    with pytest.raises(AttachError) as caught:
        attach(pid, Request())
    assert caught.value.exit_code == 3
    assert remedy in str(caught.value)


def test_a_pid_that_nobody_has() -> None:
    refused(2**22 - 7, "There is no process", "ps -e")


def test_the_own_process() -> None:
    refused(os.getpid(), "itself", "leakhunt.arm()")


def test_a_zombie() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
    try:
        refused(pid, "zombie", f"process {os.getpid()}")
    finally:
        os.waitpid(pid, 0)


def test_a_stopped_process() -> None:
    with sleeping_python() as process:
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        refused(process.pid, "stopped", f"kill -CONT {process.pid}")


def test_a_process_under_a_debugger() -> None:
    libc = ctypes.CDLL(None)
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    with sleeping_python() as process:
        assert libc.ptrace(0x4206, process.pid, 0, 0) == 0  # PTRACE_SEIZE
        try:
            refused(process.pid, "traces process", f"End process {os.getpid()}")
        finally:
            libc.ptrace(0x4207, process.pid, 0, 0)
            os.waitpid(process.pid, 0)
            libc.ptrace(17, process.pid, 0, 0)


def test_a_program_that_is_not_python() -> None:
    with running("sleep", "100") as process:
        refused(process.pid, "not a CPython program", "ps -e")


@pytest.mark.parametrize("version", ["3.7", "3.6", "2.7"])
def test_a_python_that_is_too_old(version: str) -> None:
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    if not found:
        pytest.skip(f"no Python {version} here")
    with running(str(found[0]), "-c", "import time; time.sleep(100)") as process:
        refused(process.pid, f"Python {version} is not known to be safe", "3.8 to 3.15")


@pytest.mark.skipif(not IS_ROOT, reason="needs root to become somebody else")
def test_another_users_process() -> None:
    code = f"""if True:
        import os, sys
        sys.path.insert(0, {str(Path(refusals.__file__).parents[2])!r})
        from leakhunt.attach import METHODS
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        reason = METHODS[-1].why_not(int(sys.argv[1]))
        print(reason, "|", reason.remedy)
    """
    with sleeping_python() as process:
        done = subprocess.run(
            [sys.executable, "-c", code, str(process.pid)], capture_output=True, text=True, check=True
        )
    assert done.stdout == (
        f"Process {process.pid} belongs to user 0, and you are user 65534. | Use `sudo leakhunt attach PID`.\n"
    )


@pytest.mark.skipif(not IS_ROOT or not shutil.which("setpriv"), reason="needs root and setpriv to drop a capability")
def test_a_container_without_the_capability() -> None:
    code = f"""if True:
        import sys
        sys.path.insert(0, {str(Path(refusals.__file__).parents[2])!r})
        from leakhunt.attach import METHODS
        print(METHODS[-1].why_not(int(sys.argv[1])), METHODS[-1].why_not(int(sys.argv[1])).remedy)
    """
    with sleeping_python() as process:
        drop = ["setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace"]
        command = [*drop, sys.executable, "-c", code, str(process.pid)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "lacks the capability SYS_PTRACE" in done.stdout
    assert "--cap-add=SYS_PTRACE" in done.stdout


class Pretended(Target):
    """A target whose /proc says what a test wants it to say."""

    def __init__(self, status: str = "", mappings: tuple[Mapping, ...] = ()) -> None:
        super().__init__(os.getpid())
        self.__dict__["status"] = Status(status)
        self.__dict__["mappings"] = mappings


def test_yama_is_named_with_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Pretended(f"Uid:\t{os.geteuid()} {os.geteuid()} {os.geteuid()} {os.geteuid()}\n")
    monkeypatch.setattr(Status, "of", classmethod(lambda cls, *_: Status("CapEff:\t0\n")))
    monkeypatch.setattr(os, "geteuid", lambda: target.uid)
    for scope in ("1", "2"):
        monkeypatch.setattr(procfs, "setting", lambda _, scope=scope: scope)
        reason = refusals._forbidden(target)
        if target.uid:  # root without the capability is in a container, whatever yama says
            assert f"ptrace_scope {scope}" in reason
            assert "kernel.yama.ptrace_scope=0" in reason.remedy
    monkeypatch.setattr(procfs, "setting", lambda _: "3")
    assert "until it reboots" in refusals._forbidden(target)


def test_musl_is_not_known_to_be_safe() -> None:
    mapping = Mapping(0, 4096, "r-xp", 0, "/lib/ld-musl-x86_64.so.1")
    reason = refusals.is_known_libc(Pretended(mappings=(mapping,)))
    assert reason is not None and "musl" in reason and "leakhunt run" in reason.remedy


def test_an_architecture_that_was_not_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals.platform, "machine", lambda: "aarch64")
    reason = refusals.is_known_machine(Pretended())
    assert reason is not None and "aarch64" in reason


def test_a_program_that_sandboxes_itself() -> None:
    strict = refusals.is_free_of_sandbox(Pretended("Seccomp:\t1\nSeccomp_filters:\t0\n"))
    own = refusals.is_free_of_sandbox(Pretended("Seccomp:\t2\nSeccomp_filters:\t9\n"))
    assert strict is not None and own is not None and "seccomp" in own
    assert refusals.is_free_of_sandbox(Pretended("Seccomp:\t0\nSeccomp_filters:\t0\n")) is None


def test_a_program_with_a_system_call_filter_of_its_own() -> None:
    code = """if True:
        import ctypes, struct, time
        libc = ctypes.CDLL(None)
        allow = ctypes.create_string_buffer(struct.pack("<HBBI", 6, 0, 0, 0x7FFF0000))
        program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", 1, ctypes.addressof(allow)))
        assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
        assert libc.prctl(22, 2, program, 0, 0) == 0  # PR_SET_SECCOMP
        time.sleep(100)
    """
    with running(sys.executable, "-c", code) as process:
        if process.poll() is not None:
            pytest.skip("this kernel has no seccomp filters")
        refused(process.pid, "restricts its own system calls", "leakhunt run")


def test_shadow_stacks_and_an_ignored_sigtrap() -> None:
    assert refusals.has_plain_stacks(Pretended("x86_Thread_features:\tshstk wrss\n"))
    assert refusals.has_plain_stacks(Pretended("SigIgn:\t0000000000000010\n"))
    assert refusals.has_plain_stacks(Pretended("SigIgn:\t0000000000001000\n")) is None


def test_an_unknown_method_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="Choose one of: prearmed, pep768, ptrace, gdb"):
        attach(1, Request(), "telepathy")


def of_version(minimum: tuple[int, int]) -> object:
    found = [interpreter for interpreter in interpreters() if interpreter.version >= minimum]
    if not found:
        pytest.skip("no Python {}.{} here".format(*minimum))
    return found[0]


def test_pep768_needs_a_new_python() -> None:
    with sleeping_python() as process:
        if sys.version_info < (3, 14):
            reason = PEP768.why_not(process.pid)
            assert reason is not None and "3.14" in reason


def test_pep768_says_when_remote_debugging_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = of_version((3, 14))
    monkeypatch.setenv("PYTHON_DISABLE_REMOTE_DEBUG", "1")
    with hostile_target(interpreter, "breathing") as target:  # type: ignore[arg-type]
        reason = PEP768.why_not(target.pid)
        assert reason is not None and "switched off" in reason
        assert "PYTHON_DISABLE_REMOTE_DEBUG" in reason.remedy


def test_pep768_gives_up_on_a_blocked_main_thread_and_the_next_way_is_taken() -> None:
    interpreter = of_version((3, 14))
    with hostile_target(interpreter, "asleep") as target:  # type: ignore[arg-type]
        with pytest.raises(AttachError, match="blocked in C"):
            PEP768.inject(target.pid, Request("disarm"))
        answer = attach(target.pid, Request("disarm"))
        assert (answer.method, answer.word) == ("ptrace", "absent")
        assert target.is_alive


def test_a_program_that_keeps_the_gil_is_given_up_and_told() -> None:
    code = "import ctypes; ctypes.PyDLL(None).sleep(30)"
    with running(sys.executable, "-c", code) as process:
        with pytest.raises(refusals.LeftBehind, match="keeps the GIL"):
            PTRACE.inject(process.pid, Request("disarm", patience_seconds=0.5))
        assert process.poll() is None


def test_a_program_that_ends_meanwhile() -> None:
    code = "import ctypes, signal; signal.alarm(2); ctypes.PyDLL(None).sleep(30)"
    with running(sys.executable, "-c", code) as process:
        with pytest.raises(AttachError, match="ended while"):
            PTRACE.inject(process.pid, Request("disarm"))
        assert process.wait(5) == -signal.SIGALRM
