"""Known places, as data."""

from __future__ import annotations

import pytest

from leakhunt.analysis import known


@pytest.mark.parametrize("owner", ["re._cache", "web.app.__warningregistry__", "struct._cache"])
def test_what_is_known_to_end_is_harmless(owner: str) -> None:
    assert known.is_harmless(owner)


@pytest.mark.parametrize("owner", ["shop._cache", "core._cache", "shop.re._cached", "my_re._cache", "_cache", ""])
def test_what_only_sounds_like_it_is_not(owner: str) -> None:
    assert not known.is_harmless(owner)


def test_every_known_harmless_place_gives_its_source() -> None:
    assert all(why for why in known.HARMLESS.values())


def test_a_known_leak_has_its_mend() -> None:
    assert "checkcache" in known.advice_for("linecache.cache")
    assert "plt.close" in known.advice_for("matplotlib._pylab_helpers.Gcf.figs")
    assert known.advice_for("shop.ORDERS") == ""
