"""What is told as the pause of a snapshot is the time in which nothing else of the program ran."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from leakhunt.agent import native
from leakhunt.agent.engine import Engine

ASKING_SECONDS = 2.0  # far above any pause of a test process


@pytest.mark.parametrize("name", ["python", "c"])
@pytest.mark.parametrize("deep", [False, True])
def test_asking_the_system_is_no_pause(name: str, deep: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # In a busy program every file of /proc that is read costs a wait for the GIL; a pause of 60 ms was told as 150.
    if name == "c" and not Path(native.__file__).with_name(native.FILE).exists():
        pytest.skip("the C engine is not built")
    engine = Engine("leakhunt.agent", name)
    asked = []
    monkeypatch.setattr(engine, "figures", lambda: asked.append(time.sleep(ASKING_SECONDS)) or {})
    meta, _, _ = engine.snapshot(deep, {})
    assert asked
    assert meta["pause_ms"] < ASKING_SECONDS * 1e3 < meta["cost_ms"]
