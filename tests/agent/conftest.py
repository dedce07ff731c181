"""Every test of the agent runs on every interpreter found, and where it fits on both engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from .target import VERSIONS, Target, interpreters

C_VERSIONS = VERSIONS[VERSIONS.index("3.11") :]
LIBRARY = Path(__file__).parents[2] / "leakhunt" / "agent" / "_walk.abi3.so"


def engines(version: str) -> list[str]:
    return ["py", "c"] if version in C_VERSIONS else ["py"]


PAIRS = [(version, engine) for version in VERSIONS for engine in engines(version)]


def _target(version: str, engine: str, folder: Path) -> Target:
    python = interpreters().get(version)
    if python is None:
        pytest.skip(f"no python{version} here")
    if engine == "c" and not LIBRARY.exists():
        pytest.skip("the C engine is not built")
    return Target(version, python, {"py": "python"}.get(engine, engine), folder)


@pytest.fixture(params=PAIRS, ids="-".join)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """An interpreter and an engine."""
    return _target(*request.param, tmp_path)


@pytest.fixture(params=VERSIONS)
def any_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """An interpreter, with the engine that it would have."""
    return _target(request.param, "auto", tmp_path)
