"""`leakhunt bisect`: the search, what it makes of a run, and the whole command on packages and commits made for it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import wheels
from heap import Heap, run_folder

from leakhunt.bisect.judge import Judge
from leakhunt.bisect.kept import Kept, Outcome
from leakhunt.bisect.opinion import CLEAN, LEAKS, UNCLEAR, Target, different, opinion
from leakhunt.bisect.search import NEW, OLD, UNKNOWN, boundary
from leakhunt.bisect.trial import Settings, end_left_over
from leakhunt.cli.app import invoke
from leakhunt.errors import RunError, UsageError
from leakhunt.findings import Findings
from leakhunt.pipeline import hunt

# The search


@pytest.mark.parametrize("seed", range(50))
def test_the_boundary_is_never_wrong_and_is_exact_where_all_can_be_judged(seed: int) -> None:
    chance = random.Random(seed)
    count = chance.randint(2, 60)
    truth = chance.randint(1, count - 1)  # the first in the new state
    unknown = {index for index in range(1, count - 1) if chance.random() < 0.3 * (seed % 2)}
    asked: list[int] = []

    def judge(index: int) -> str:
        asked.append(index)
        return UNKNOWN if index in unknown else NEW if index >= truth else OLD

    low, high = boundary(0, count - 1, judge)
    assert low < truth <= high
    assert set(range(low + 1, high)) <= unknown
    assert len(asked) == len(set(asked))
    assert len([index for index in asked if index not in unknown]) <= (count - 1).bit_length()


# What a run says


def seen(
    tmp_path: Path, name: str, gain: int, place: str = "OPEN", moments: int = 24, kind: str = "shop.Order"
) -> Findings:
    # module shop -> .<place> -> list -> Order …
    heap = Heap(pid=7)
    orders = heap.list()
    heap.module("shop", **{place: orders})

    def serve(k: int) -> None:
        orders.extend(heap.instance(kind) for _ in range(gain))

    return hunt(run_folder(tmp_path / name, heap.live(serve, moments)))


@pytest.fixture
def leaky(tmp_path: Path) -> Findings:
    found = seen(tmp_path, "leaky", 20)
    assert [finding.type for finding in found.findings] == ["shop.Order"]
    return found


def test_the_same_leak_by_its_fingerprint(leaky: Findings, tmp_path: Path) -> None:
    said = opinion(seen(tmp_path, "again", 15), Target(leaky.findings[0], leaky))
    assert (said.state, said.is_same) == (LEAKS, True)


def test_the_same_class_in_another_place_is_the_leak_by_another_name(leaky: Findings, tmp_path: Path) -> None:
    said = opinion(seen(tmp_path, "moved", 20, place="WAITING"), Target(leaky.findings[0], leaky))
    assert (said.state, said.is_same) == (LEAKS, False)


def test_what_does_not_grow_is_clean(leaky: Findings, tmp_path: Path) -> None:
    assert opinion(seen(tmp_path, "fixed", 0), Target(leaky.findings[0], leaky)).state == CLEAN


def test_a_run_too_short_to_accuse_is_unclear_where_it_still_grows(leaky: Findings, tmp_path: Path) -> None:
    said = opinion(seen(tmp_path, "short", 20, moments=5), Target(leaky.findings[0], leaky))
    assert said.state == UNCLEAR and said.goes_on
    assert "grows at 1" in said.why


def test_a_run_too_short_to_know_is_unclear(leaky: Findings, tmp_path: Path) -> None:
    assert opinion(seen(tmp_path, "short", 0, moments=4), Target(leaky.findings[0], leaky)).state == UNCLEAR


def test_another_leak_is_another_leak(leaky: Findings, tmp_path: Path) -> None:
    other = seen(tmp_path, "other", 20, place="CARTS", kind="shop.Cart")
    assert [finding.type for finding in different(other, leaky)] == ["shop.Cart"]
    assert opinion(other, Target(leaky.findings[0], leaky)).state == CLEAN
    assert not different(leaky, leaky)


# The folder


def test_a_folder_of_another_search_is_refused(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "search", {"package": "jobs>1"})
    kept.remember_releases(["1", "2"])
    with pytest.raises(RunError, match="Another leakhunt"):
        Kept(tmp_path / "search", {"package": "jobs>1"})
    kept.close()
    with pytest.raises(UsageError, match="another search"):
        Kept(tmp_path / "search", {"package": "jobs>2"})
    again = Kept(tmp_path / "search", {"package": "jobs>1"})
    assert again.releases == ["1", "2"]
    again.remember(Outcome("1", "first"), None)
    assert again.outcome("1", "first") and not again.outcome("1", "again")
    again.close()


def test_the_run_of_a_search_that_was_killed_is_ended_and_nothing_else(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "1.0-first"
    run.parent.mkdir()
    for words, is_ended in (([str(run)], True), (["another"], False)):
        program = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)", *words], start_new_session=True
        )
        run.with_name("1.0-first.pid").write_text(str(program.pid))
        end_left_over(run)
        try:
            if is_ended:
                assert program.wait(30) == -signal.SIGKILL
            assert program.poll() is None or is_ended
        finally:
            program.kill()
            program.wait()
    end_left_over(run)  # there is nothing left


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--", "python", "app.py"], "--package SPEC, or --commits OLD..NEW"),
        (["--package", "jobs>>1", "--", sys.executable], "is no package with versions"),
        (["--package", "jobs>1", "--", "sh", "-c", "true"], "does not say which Python runs it"),
        (["--commits", "main", "--", sys.executable], "is no range of commits"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(["bisect", *words]) == 2
    assert says in capsys.readouterr().err


class Shown:
    """Runs that show what a test says, by release and attempt; for a Judge."""

    def __init__(self, folder: Path, shown: dict[tuple[str, str], Findings]) -> None:
        self.kept, self.shown = Kept(folder, {}), shown

    def run(self, release: str, attempt: str, settings: Settings) -> Outcome:
        found = self.kept.outcome(release, attempt)
        if found is None:
            found = Outcome(release, attempt, interval=settings.interval, duration=settings.duration)
            self.kept.remember(found, self.shown[release, attempt])
        return found


def test_what_is_sure_was_said_twice(leaky: Findings, tmp_path: Path) -> None:
    clean, short = seen(tmp_path, "clean", 0), seen(tmp_path, "short", 20, moments=5)
    little = seen(tmp_path, "little", 0, moments=4)
    runs = Shown(tmp_path / "search", {
        ("1", "first"): leaky, ("1", "again"): short,  # it goes on at its pace: they agree
        ("2", "first"): clean, ("2", "again"): little, ("2", "again-longer"): clean,
        ("3", "first"): clean, ("3", "again"): leaky,  # they do not
    })  # fmt: skip
    judge = Judge(runs, runs.kept, Settings(), Target(leaky.findings[0], leaky))
    assert (judge.state("1"), judge.state("2"), judge.state("3")) == (LEAKS, CLEAN, CLEAN)
    assert judge.is_confirmed("1", LEAKS)
    assert judge.is_confirmed("2", CLEAN)
    assert not judge.is_confirmed("3", CLEAN)
    runs.kept.close()


# The whole command


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program, its environment, and an index: jobs 1.1 to 1.3 leak, 1.5 is broken, from 1.6 on it needs extra 2."""
    place = tmp_path_factory.mktemp("shop")
    index = place / "index"
    index.mkdir()
    for number in range(1, 9):
        source = wheels.BROKEN if number == 5 else wheels.LEAKY if number < 4 else wheels.CLEAN
        wheels.wheel(index, "jobs", f"1.{number}", source, ("lh-extra>=2",) if number > 5 else ())
    for version, needs in (("1.0", "lh-extra<2"), ("2.0", "lh-extra>=2")):
        wheels.wheel(index, "lh_extra", version, "")
        wheels.wheel(index, "lh_other", version, "", (needs,))
    wheels.wheel(index, "jobs", "2.0", wheels.CLEAN, ("lh-missing",))
    (place / "app.py").write_text(wheels.PROGRAM)
    subprocess.run([sys.executable, "-m", "venv", place / "env"], check=True)
    pip = [
        place / "env" / "bin" / "python",
        "-m",
        "pip",
        "install",
        "-q",
        "jobs==1.2",
        "lh-extra==1.0",
        "lh-other==1.0",
    ]
    subprocess.run(pip, check=True, env={**os.environ, **wheels.index(index)})
    return place


def command(place: Path, *words: str) -> list[str]:
    out = ["--out", str(place / "search"), "--interval", "0.1", "--format", "json"]
    return [sys.executable, "-m", "leakhunt", "bisect", *out, *words, "--", "env/bin/python", "app.py"]


def asked(place: Path, shop: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **wheels.index(shop / "index")}
    done = subprocess.run(
        command(place, *words), cwd=shop, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.story
def test_the_release_that_fixed_it_is_named_with_what_to_pin(shop: Path, tmp_path: Path) -> None:
    found = json.loads(asked(tmp_path, shop, "--package", "jobs>=1.1,<2").stdout)
    assert found["sentence"] == "fixed in jobs 1.4"
    assert found["advice"] == "jobs>=1.4"
    assert found["is_certain"] and not found["between"]
    states = {(trial["release"], trial["attempt"]): trial["state"] for trial in found["trials"]}
    assert states[("1.5", "first")] == "fails"
    newest = next(trial for trial in found["trials"] if trial["release"] == "1.8")
    assert newest["moved"] == ["lh-extra 1.0 to 2.0", "lh-other 1.0 to 2.0"]
    assert not (tmp_path / "search" / "environments").exists()


@pytest.mark.story
def test_the_release_that_brought_it_and_one_that_is_not_installable(shop: Path, tmp_path: Path) -> None:
    """Backwards: 2.0 can't be installed, so the newest that counts is 1.8; nothing between leaks."""
    done = asked(tmp_path, shop, "--package", "jobs>=1.6", "--goal", "leak")
    assert done.returncode == 3
    assert "No leak came or went between them" in done.stderr
    assert "Name a range whose newest release leaks" in done.stderr
    kept = json.loads((tmp_path / "search" / "bisect.json").read_text())
    assert {one["release"]: one["problem"] for one in kept["outcomes"]}["2.0"] == "not installable"


@pytest.mark.story
def test_an_interrupted_search_goes_on_and_runs_no_release_twice(shop: Path, tmp_path: Path) -> None:
    environment = {**os.environ, **wheels.index(shop / "index")}
    words = command(tmp_path, "--package", "jobs>=1.1,<2")
    state = tmp_path / "search" / "bisect.json"
    begun = subprocess.Popen(words, cwd=shop, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (state.exists() and len(json.loads(state.read_text())["outcomes"]) >= 2):
        assert time.monotonic() < deadline and begun.poll() is None
        time.sleep(0.05)
    begun.send_signal(signal.SIGINT)
    _, told = begun.communicate(timeout=60)
    assert begun.returncode == 130 and b"Traceback" not in told
    before = json.loads(state.read_text())["outcomes"]
    found = json.loads(asked(tmp_path, shop, "--package", "jobs>=1.1,<2").stdout)
    after = json.loads(state.read_text())["outcomes"]
    assert found["sentence"] == "fixed in jobs 1.4"
    assert after[: len(before)] == before
    runs = [(one["release"], one["attempt"]) for one in after]
    assert len(runs) == len(set(runs))


@pytest.mark.story
def test_the_commit_that_brought_it_is_named_by_git_bisect(tmp_path: Path) -> None:
    place = tmp_path / "program"
    place.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    for kind in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{kind}_NAME": "Ada", f"GIT_{kind}_EMAIL": "ada@example.org"}

    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=place, env=environment, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    (place / "app.py").write_text(wheels.PROGRAM)
    for number in range(7):
        source = wheels.BROKEN if number == 2 else wheels.LEAKY if number >= 4 else wheels.CLEAN
        (place / "jobs.py").write_text(f"{source}# {number}\n")
        git("add", "-A")
        git("commit", "-q", "-m", f"Change {number}")
    (place / "jobs.py").write_text("is not committed")
    words = [sys.executable, "-m", "leakhunt", "bisect", "--commits", "HEAD~6..", "--interval", "0.1"]
    words += ["--format", "json", "--out", str(tmp_path / "search"), "--", sys.executable, "app.py"]
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["goal"] == "leak" and found["is_certain"]
    assert found["notes"][0].endswith(": Change 4")
    assert found["sentence"] == f"came with commit {found['after']}"
    assert (place / "jobs.py").read_text() == "is not committed"
