"""Root attaches to another user's process, and that user changes the folders between them to lead root elsewhere."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leakhunt.attach import attachment
from leakhunt.attach.foreign import Owner
from leakhunt.attach.stage import Folder
from leakhunt.attach.target import Target
from leakhunt.errors import AttachError
from leakhunt.runfolder import create, read_run

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")

NOBODY = 65534
AS_NOBODY = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
OPTIONS = "interval=0.05,deep=never,budget=1"
PROGRAM = "import time\nwhile True: time.sleep(0.02)"


@contextlib.contextmanager
def nobodys_program(code: str = PROGRAM, *arguments: str) -> Iterator[int]:
    process = subprocess.Popen([*AS_NOBODY, "/usr/bin/python3", "-c", code, *arguments])
    try:
        until(lambda: Target(process.pid).uid == NOBODY and Target(process.pid).interpreter is not None)
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def roots_folder() -> Iterator[Path]:
    """A folder that only root may enter, where nobody must be able to have anything made or read."""
    with tempfile.TemporaryDirectory(prefix="roots-") as folder:
        yield Path(folder)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[attachment.Relay]:
    with nobodys_program() as pid:
        relay = attachment.Relay(Target(pid), create(tmp_path / "run", []))
        try:
            yield relay
        finally:
            relay.remove()


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


def test_a_folder_for_another_user_is_that_users(relay: attachment.Relay) -> None:
    status = os.stat(relay.inside)
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (NOBODY, NOBODY, 0o700)


def test_a_process_folder_that_became_a_link_is_not_stopped_in(relay: attachment.Relay, roots_folder: Path) -> None:
    os.symlink(roots_folder, f"{relay.inside}/pid-1.0")
    with pytest.raises(OSError):
        relay.ask_to_stop("pid-1.0")
    assert list(roots_folder.iterdir()) == []


def test_a_process_folder_that_became_a_link_is_not_read(
    relay: attachment.Relay, roots_folder: Path, tmp_path: Path
) -> None:
    (roots_folder / "000001.leak").write_text("root's own")
    os.symlink(roots_folder, f"{relay.inside}/pid-1.0")
    relay.fetch()
    assert not list(tmp_path.rglob("*.leak"))
    assert (roots_folder / "000001.leak").exists()


@pytest.mark.parametrize("way", ["link", "hard link", "pipe", "folder", "endless", "named otherwise"])
def test_what_is_no_snapshot_of_theirs_is_not_fetched(
    relay: attachment.Relay, roots_folder: Path, tmp_path: Path, way: str
) -> None:
    secret = Path(relay.inside).with_name("roots-own") if way == "hard link" else roots_folder / "secret"
    secret.write_text("root's own")
    secret.chmod(0o600)
    theirs = Path(relay.inside) / "pid-1.0" / ("passwd" if way == "named otherwise" else "000001.leak")
    theirs.parent.mkdir()
    try:
        if way == "link":
            theirs.symlink_to(secret)
        elif way == "hard link":
            theirs.hardlink_to(secret)
        elif way == "pipe":
            os.mkfifo(theirs)
        elif way == "folder":
            theirs.mkdir()
        else:
            theirs.touch()
            os.truncate(theirs, 1 << 43 if way == "endless" else 1)
        for path in (theirs.parent, theirs):
            if way not in ("hard link", "link"):
                os.chown(path, NOBODY, NOBODY)
        os.chown(theirs.parent, NOBODY, NOBODY)
        relay.fetch()
    finally:
        secret.unlink()
    assert not list((tmp_path / "run").rglob("pid-*/*"))


def test_an_answer_that_is_a_pipe_or_a_folder_is_none(relay: attachment.Relay) -> None:
    os.mkfifo(f"{relay.inside}/answer")
    assert relay._folder.read("answer", 100) is None
    os.unlink(f"{relay.inside}/answer")
    os.mkdir(f"{relay.inside}/answer")
    assert relay._folder.read("answer", 100) is None


def test_what_takes_the_folders_place_is_not_removed(roots_folder: Path) -> None:
    (roots_folder / "kept").touch()
    with nobodys_program() as pid:
        folder = Folder(Target(pid))
        os.rename(folder.inside, f"{folder.inside}.x")
        os.symlink(roots_folder, folder.inside)
        folder.remove()
        assert (roots_folder / "kept").exists()
        os.unlink(folder.inside)
        os.rmdir(f"{folder.inside}.x")


def test_a_mount_of_roots_folder_in_the_targets_own_namespace_is_not_written_to(roots_folder: Path) -> None:
    """Whoever has a namespace of users may mount over what it sees: /tmp is then any folder of the system."""
    code = f"""
import os, sys, time
for place in ("/var/tmp", "/dev/shm", "/run", "/tmp"):
    os.system("mount --bind %s %s" % (sys.argv[1], place))
print("mounted", flush=True)
{PROGRAM}
"""
    os.chmod(roots_folder, 0o755)
    command = [*AS_NOBODY, "unshare", "--user", "--map-root-user", "--mount", "/usr/bin/python3", "-c", code]
    with subprocess.Popen([*command, str(roots_folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"mounted\n":
            pytest.skip("no namespaces for users here")
        try:
            with pytest.raises(AttachError, match="no directory that it can write to"):
                Folder(Target(process.pid))
        finally:
            process.kill()
    assert list(roots_folder.iterdir()) == []


def test_root_is_itself_again_after_each_step() -> None:
    with nobodys_program() as pid:
        owner, groups = Owner.of(Target(pid)), os.getgroups()
        for _ in range(3):
            with contextlib.suppress(OSError), owner.acting():
                assert Path("/proc/thread-self/status").read_text().split("Uid:")[1].split()[3] == str(NOBODY)
                os.open("/etc/shadow", os.O_RDONLY)
                raise AssertionError("nobody read it")
        assert os.getgroups() == groups
        os.close(os.open("/etc/shadow", os.O_RDONLY))


SNEAKY = """
import glob, os, signal, sys, time
while True:
    time.sleep(0.002)
    for folder in glob.glob("/tmp/leakhunt-*/pid-%d.0" % os.getpid()):
        if os.path.exists(sys.argv[2]):
            os.rename(folder, folder + ".x")
            os.symlink(sys.argv[1], folder)
            open(sys.argv[2] + ".swapped", "w").close()
            os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_target_that_swaps_its_folder_and_stops_itself_makes_root_write_nowhere(
    roots_folder: Path, tmp_path: Path
) -> None:
    """The whole attack, with a real agent: a stopped process can't be entered, so it is asked by a file to stop."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o777)
        sign = Path(place) / "sign"
        with nobodys_program(SNEAKY, str(roots_folder), str(sign)) as pid:
            run_folder = create(tmp_path / "run", [])
            measured = attachment.begin(pid, run_folder, OPTIONS)

            def arrived() -> bool:
                measured.fetch()
                return any(process.snapshots for process in read_run(run_folder).processes)

            until(arrived)
            sign.touch()
            until(lambda: Path(f"{sign}.swapped").exists() and Target(pid).status.state == "T")
            reason = measured.end()
    assert reason is not None and "is stopped" in reason
    assert list(roots_folder.iterdir()) == []


def test_no_descriptor_of_ours_stays_open(relay: attachment.Relay) -> None:
    """A hundred links, each of which is refused, must not use up the descriptors of the run."""
    os.symlink("/etc", f"{relay.inside}/pid-1.0")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        relay.fetch()
        with contextlib.suppress(OSError):
            relay.ask_to_stop("pid-1.0")
    assert len(os.listdir("/proc/self/fd")) == before
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > before
