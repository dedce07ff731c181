"""How pytest-xdist shares tests out: one by one, but a file whose tests run programs side by side stays together."""

from __future__ import annotations

from typing import Any

import pytest

TOGETHER = ("tests/stories/test_sample_apps.py",)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Only for the usual `-n NUMBER`; the names of tests stay as they are, which --last-failed needs."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class OneByOne(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if file in TOGETHER else nodeid

    return OneByOne(config, log)
