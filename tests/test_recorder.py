"""Snapshots of this interpreter by the agent's engine: what is in them, and what they leave."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from leakhunt.agent import write
from leakhunt.recorder import SnapshotRecorder


class Plugin:
    pass


class Hook:
    """A loader as pytest's: everything the program has is behind it."""

    def __init__(self) -> None:
        self.plugins = [Plugin() for _ in range(5)]


def test_pins_are_numbered_and_go_with_their_folder() -> None:
    pins = SnapshotRecorder()
    pins.take(note="first")
    pins.take(7.5, collect=False)
    first, second = pins.load()
    assert (first.meta["note"], second.number("elapsed"), second.number("sequence")) == ("first", 7.5, 2)
    assert [s.number("sequence") for s in pins.load(last=1)] == [2]
    pins.close()
    assert not Path(pins.folder).exists()
    assert second.is_deep and len(second.column("object.address"))


def test_what_is_behind_the_hook_that_imported_the_agent_is_not_the_agent_s(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = Hook()
    monkeypatch.setattr(sys.modules[write.__name__], "__loader__", hook)
    monkeypatch.setattr(sys.modules[write.__name__].__spec__, "loader", hook)
    pins = SnapshotRecorder()
    pins.take()
    (pinned,) = pins.load()
    assert pinned.census[f"{__name__}.Plugin"][0] == len(hook.plugins)
    pins.close()
