"""Known places, as data."""

from __future__ import annotations

import pytest

from leakhunt.analysis.growth.known import BUILT_IN, Known


@pytest.mark.parametrize("owner", ["re._cache", "sqlalchemy.orm.mapper.Mapper._compiled_cache", "struct._cache"])
def test_a_place_that_is_pruned_and_does_not_say_so_has_a_known_bound(owner: str) -> None:
    assert BUILT_IN.bound_of(owner)


@pytest.mark.parametrize("owner", ["shop._cache", "core._cache", "shop.re._cached", "my_re._cache", "_cache", ""])
def test_what_only_sounds_like_it_has_none(owner: str) -> None:
    assert BUILT_IN.bound_of(owner) is None


def test_every_known_bound_gives_its_source() -> None:
    assert all(bound.source and bound.limit > 0 for bound in BUILT_IN.bounds.values())


def test_nothing_that_leakhunt_brings_with_it_is_harmless_by_its_name() -> None:
    assert not BUILT_IN.harmless


def test_a_known_leak_has_its_fix() -> None:
    assert "checkcache" in BUILT_IN.advice_for("linecache.cache")
    assert "plt.close" in BUILT_IN.advice_for("matplotlib._pylab_helpers.Gcf.figs")
    assert "its text the same" in BUILT_IN.advice_for("shop.orders.__warningregistry__")
    assert BUILT_IN.advice_for("shop.ORDERS") == ""


def test_a_users_own_are_known_besides_and_have_the_word() -> None:
    both = BUILT_IN.with_more(Known({"shop.PRICES": "cleared every night"}, {"linecache.cache": "Ask Ann."}))
    assert both.is_harmless("shop.PRICES") and both.bound_of("re._cache")
    assert both.advice_for("linecache.cache") == "Ask Ann."
    assert "LoggerAdapter" in both.advice_for("logging.Manager.loggerDict")
