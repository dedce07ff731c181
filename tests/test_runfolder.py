"""A run folder can be read whenever its writers were killed."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

import pytest

from leakhunt.errors import RunError, UsageError
from leakhunt.runfolder import DESCRIPTION, create, discard, finish, read_run


def process_folder(run: Path, name: str = "pid-4711.0", process: str = "pid\t4711\n", snapshots: int = 0) -> Path:
    folder = run / name
    folder.mkdir()
    (folder / "process").write_text(process)
    for number in range(1, snapshots + 1):
        (folder / f"{number:06d}.leak").write_bytes(b"")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return create(tmp_path / "run", ["python", "app.py"], {"interval": 0.5})


def test_a_new_run_is_described(run: Path) -> None:
    info = read_run(run).info
    assert info["schema"] == 1
    assert info["command"] == ["python", "app.py"]
    assert info["options"] == {"interval": 0.5}
    assert info["cwd"] == os.getcwd()
    assert info["ended"] is None
    assert info["exit_status"] is None


def test_a_finished_run_tells_how_and_when(run: Path) -> None:
    finish(run, 3)
    info = read_run(run).info
    assert info["exit_status"] == 3
    assert info["ended"] >= info["started"]
    assert info["command"] == ["python", "app.py"]


def test_it_is_private_to_the_user(run: Path) -> None:
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    assert stat.S_IMODE((run / DESCRIPTION).stat().st_mode) == 0o600


def test_missing_parents_are_made_and_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert create(tmp_path / "a" / "b", ["x"]).is_dir()
    (tmp_path / "empty").mkdir()
    assert create(tmp_path / "empty", ["x"]) == tmp_path / "empty"


def test_the_default_is_new_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders = {create(None, ["x"]) for _ in range(3)}
    assert len(folders) == 3
    assert all(folder.name.startswith("leakhunt-run-2") and folder.is_absolute() for folder in folders)


def test_a_name_may_hold_the_time_and_the_pid(tmp_path: Path) -> None:
    folder = create(tmp_path / "100%%-%t-%p", ["x"])
    assert re.fullmatch(rf"100%-\d{{8}}-\d{{6}}-{os.getpid()}", folder.name)


def test_a_folder_with_another_run_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="already holds a run"):
        create(run, ["x"])
    (tmp_path / "half").mkdir()
    process_folder(tmp_path / "half")
    with pytest.raises(UsageError, match="already holds a run"):
        create(tmp_path / "half", ["x"])


def test_a_file_is_no_place_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        create(tmp_path / "file", ["x"])
    with pytest.raises(RunError, match="cannot be made"):
        create(tmp_path / "file" / "run", ["x"])


def test_discard_removes_only_a_run_in_which_nothing_ran(run: Path, tmp_path: Path) -> None:
    discard(run)
    assert not run.exists()
    other = create(tmp_path / "other", ["x"])
    process_folder(other)
    discard(other)
    assert (other / "pid-4711.0").is_dir()


def test_processes_come_in_the_order_in_which_they_started(run: Path) -> None:
    process_folder(run, "pid-9.0", "started\t300.5\n")
    process_folder(run, "pid-10.0", "started\t100.5\n")
    process_folder(run, "pid-10.1", "started\t200.5\n")
    assert [process.path.name for process in read_run(run).processes] == ["pid-10.0", "pid-10.1", "pid-9.0"]
    assert [process.pid for process in read_run(run).processes] == [10, 10, 9]


def test_snapshots_come_in_numeric_order_and_stray_files_do_not_count(run: Path) -> None:
    folder = process_folder(run, snapshots=3)
    for name in ("1000000.leak", "000004.leak.tmp", ".000005.leak", "x.leak", "notes"):
        (folder / name).write_bytes(b"")
    names = [path.name for path in read_run(run).processes[0].snapshots]
    assert names == ["000001.leak", "000002.leak", "000003.leak", "1000000.leak"]


def test_what_the_agent_says_of_a_process_is_unescaped(run: Path) -> None:
    process_folder(run, process="command\tpython -c 'a\\n\\tb\\\\n\\r'\nstarted\t1.5\npath\t/a\x1f/b\ncut\thal")
    process = read_run(run).processes[0]
    assert process.command == "python -c 'a\n\tb\\n\r'"
    assert process.started == 1.5
    assert process.info["path"].split("\x1f") == ["/a", "/b"]
    assert "cut" not in process.info


def test_problems_lose_their_padding(run: Path) -> None:
    (process_folder(run) / "problems").write_text("no space left\n" + " " * 500)
    assert read_run(run).processes[0].problems == "no space left"


@pytest.mark.parametrize("text", ["", '{"schema": 1, "comm', "[]", "\0\0"])
def test_a_description_cut_by_a_crash_is_left_out(run: Path, text: str) -> None:
    (run / DESCRIPTION).write_text(text)
    process_folder(run, snapshots=2)
    found = read_run(run)
    assert found.info == {}
    assert len(found.processes[0].snapshots) == 2


def test_a_process_killed_before_it_could_say_who_it_is_still_counts(run: Path) -> None:
    (run / "pid-12.0").mkdir()
    process = read_run(run).processes[0]
    assert (process.pid, process.info, process.snapshots, process.started) == (12, {}, (), 0.0)


def test_processes_alone_make_a_run(tmp_path: Path) -> None:
    process_folder(tmp_path, snapshots=1)
    assert read_run(tmp_path).info == {}


def test_what_is_no_run_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, words in [
        (tmp_path / "nothing", "There is no run folder"),
        (tmp_path / "file", "is a file"),
        (tmp_path, "is not a run folder"),
    ]:
        with pytest.raises(RunError, match=words):
            read_run(path)


def test_a_run_of_a_newer_leakhunt_is_refused(run: Path) -> None:
    (run / DESCRIPTION).write_text(json.dumps({"schema": 2, "leakhunt": "9.0"}))
    with pytest.raises(RunError, match=r"leakhunt 9\.0"):
        read_run(run)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_run_that_may_not_be_read_is_told_in_a_sentence(run: Path) -> None:
    run.chmod(0)
    with pytest.raises(RunError, match="Permission denied"):
        read_run(run)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_told_in_a_sentence_and_the_old_description_stays(run: Path) -> None:
    before = (run / DESCRIPTION).read_bytes()
    (run / f".{DESCRIPTION}.{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(RunError, match="No space left"):
        finish(run, 0)
    assert (run / DESCRIPTION).read_bytes() == before
