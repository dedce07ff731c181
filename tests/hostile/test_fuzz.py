"""Damaged files end in a plain sentence: 20,000 of them here, any number by `python tests/hostile/fuzzing.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fuzzing import CORPUS, consume, fuzz

from leakhunt.errors import LeakhuntError
from leakhunt.snapshot import Snapshot

INPUTS, PARTS = 20_000, 8


@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_files_are_read_or_refused(part: int) -> None:
    tally = fuzz(part * INPUTS // PARTS, INPUTS // PARTS)
    assert not tally.failures, str(tally)
    assert tally.counts["read"] > tally.counts["refused"] / 10 > 0


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.leak")), ids=lambda path: path.stem)
def test_a_file_that_once_ended_in_a_bugs_sentence_does_so_no_more(path: Path) -> None:
    try:
        consume(Snapshot.load(path))
    except LeakhuntError as problem:
        assert str(path) in str(problem)
