"""A few kills of each kind, and what is left when leakhunt itself is killed; 500 by `python tests/hostile/kills.py`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kills import LEAKHUNT, OPTIONS, WAYS, Round, Tally, is_stage, until

from leakhunt.attach.guard import Guard
from leakhunt.runfolder import read_run

PYTHON = os.path.realpath(sys.executable)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_harmed_and_nothing_left_whoever_is_killed(way: str, tmp_path: Path) -> None:
    tally = Tally()
    one = Round(1, tmp_path, PYTHON, tally)
    one.way = way
    one.go()
    assert tally.harms == []


def test_the_folder_in_which_a_request_is_staged_goes_when_leakhunt_is_killed(tmp_path: Path) -> None:
    """Killed while it waits for an answer: the target is stopped just then, so that none comes."""
    code = """if True:
        import os, sys
        from leakhunt.attach.request import Request
        from leakhunt.attach.stage import Stage
        from leakhunt.attach.target import Target
        with Stage(Target(int(sys.argv[1])), Request("arm", "/", "")) as stage:
            print(stage._folder.inside, flush=True)
            stage.wait(600)
    """
    with subprocess.Popen([PYTHON, "-c", "input()"], stdin=subprocess.PIPE) as target:
        words = [sys.executable, "-c", code, str(target.pid)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as staging:
            assert staging.stdout is not None
            folder = Path(staging.stdout.readline().decode().strip())
            assert folder.is_dir() and is_stage(folder)
            staging.kill()
        assert until(lambda: not folder.exists(), 30)
        target.kill()


def test_a_guard_that_is_dismissed_does_nothing_and_is_gone(tmp_path: Path) -> None:
    guard = Guard((tmp_path / "done").touch, ())
    guard.dismiss()
    assert not (tmp_path / "done").exists()
    with pytest.raises(ChildProcessError):
        os.waitpid(guard._pid, os.WNOHANG)


@pytest.mark.parametrize("whole", [True, False], ids=["the folder", "all that is in it"])
def test_a_run_folder_that_is_removed_while_it_is_written_is_told_as_that(whole: bool, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = [*LEAKHUNT, "run", *[word for word in OPTIONS if word != "-q"], "--out", str(out), "--"]
    program = "import time; begun = time.time()\nwhile time.time() - begun < 4: time.sleep(0.01)"
    with subprocess.Popen([*words, PYTHON, "-c", program], stderr=subprocess.PIPE, text=True) as leakhunt:
        assert until(lambda: out.exists() and any(process.snapshots for process in read_run(out).processes))
        while out.exists() if whole else list(out.iterdir()):
            for path in [out] if whole else list(out.iterdir()):
                shutil.rmtree(path, ignore_errors=True)
                path.unlink(missing_ok=True) if not path.is_dir() else None
        _, said = leakhunt.communicate(timeout=120)
    assert leakhunt.returncode == 0
    assert "was removed while the program ran" in said and "not Python" not in said, said


def test_a_stop_of_either_changes_nothing(tmp_path: Path) -> None:
    """SIGSTOP and SIGCONT of leakhunt and of the program change nothing."""
    tally = Tally()
    one = Round(2, tmp_path, PYTHON, tally)
    leakhunt, pids = one.under_run()
    for pid in (leakhunt.pid, *pids[:1]):
        if leakhunt.poll() is None:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.1)
            os.kill(pid, signal.SIGCONT)
    assert leakhunt.wait(120) == 0 and one.fine.exists()
