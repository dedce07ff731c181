"""The track of a candidate on a terminal."""

from __future__ import annotations

from leakhunt.findings import DoubtTold, Track, Tracks
from leakhunt.render.tracks import TracksText

SEEN = Track(
    pid=4711, kind="python-leak", type="shop.Session", owner="shop.SESSIONS", what="a builtins.dict",
    seconds=(5.0, 10.0), items=(10, 120), in_bytes=False, measured="+110 items at 12 looks", certainty=0.99,
    doubts=(), confidence=0.99, needed=0.75, named=True,
)  # fmt: skip


def doubted(*doubts: DoubtTold, confidence: float) -> Track:
    return Track(**{**vars(SEEN), "doubts": doubts, "confidence": confidence, "named": False})


def text(*tracks: Track, near: tuple[str, ...] = (), seen: str = "") -> str:
    return TracksText().render(Tracks("Session", tracks, near, seen))


def test_what_was_named_is_told_with_what_was_seen_and_that_nothing_doubted_it() -> None:
    told = text(SEEN)
    assert "1 candidate for Session, 1 of them named." in told
    assert "10 to 120" in told and "by nothing" in told and "named, as python-leak, 99% sure" in told


def test_a_doubt_that_took_too_much_is_told_with_what_an_accusation_takes() -> None:
    told = text(doubted(DoubtTold("young", "it was watched for 5 intervals only", at_most=0.7), confidence=0.7))
    assert "it was watched for 5 intervals only (young: 70% sure at most)" in told
    assert "not named: 70% sure, and an accusation takes 75%" in told


def test_a_doubt_that_ended_it_is_told_as_its_end() -> None:
    told = text(doubted(DoubtTold("bounded", "at most 100", at_most=0.0, ends=True), confidence=0.0))
    assert "at most 100 (bounded: no leak of its own)" in told and told.rstrip().endswith("not named")


def test_of_what_was_never_a_candidate_this_is_said_with_names_like_it() -> None:
    assert text(near=("shop.SESSIONS",)).splitlines() == [
        "Nothing called Session was ever a candidate.",
        "Candidates with names like it: shop.SESSIONS.",
    ]
    assert "2 at the end" in text(seen="shop.Session was seen: 2 of them at first, 2 at the end.")
    assert "Ask by the name of a class" in text()
