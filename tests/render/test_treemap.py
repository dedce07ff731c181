"""The treemap: areas are sizes, boxes lie in the box around them, and a list says the same."""

from __future__ import annotations

import dataclasses
import doctest
import math
import random
from xml.etree import ElementTree

import pytest

from leakhunt.findings import Retained
from leakhunt.render import treemap
from leakhunt.render.treemap import NARROW, WIDE, Shape, Tile, leads_to_finding, rank_of, ranks_by_name, svg, tiles

from . import sample

SVG = "{http://www.w3.org/2000/svg}"
CROWD = Retained("", "m.T", 100, 1000)


def placed(box: Retained, width: float = 1000, height: float = 500) -> list[Tile]:
    return list(tiles(box, 0, 0, width, height))


def tree(seed: int, depth: int = 4, size: int = 10_000_000) -> Retained:
    """Boxes in boxes, in some of which the objects take a part themselves."""
    pick = random.Random(seed)
    if depth == 0:
        return Retained(f"m.x{seed}", "m.T", size)
    shares = [pick.random() ** 3 for _ in range(pick.randrange(1, 9))]
    whole = sum(shares) * pick.choice([1.0, 1.3])
    inside = tuple(tree(seed * 10 + n, depth - 1, int(size * share / whole)) for n, share in enumerate(shares))
    return Retained("", "m.Holder", size, inside=inside)


def test_areas_are_to_each_other_as_sizes() -> None:
    whole = Retained("", "", 8, inside=(Retained("a", "m.A", 4), Retained("b", "m.B", 2), Retained("c", "m.C", 2)))
    a, b, c = ((tile.width + 3) * (tile.height + 3) for tile in placed(whole))
    assert math.isclose(a, 2 * b) and math.isclose(b, c)
    assert math.isclose(a + b + c, 1000 * 500)


def test_what_an_object_takes_itself_is_left_free() -> None:
    whole = Retained("", "", 10, inside=(Retained("a", "m.A", 4),))
    (tile,) = placed(whole)
    assert math.isclose((tile.width + 3) * (tile.height + 3), 0.4 * 1000 * 500)


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("shape", [WIDE, NARROW], ids=["wide", "narrow"])
def test_boxes_lie_in_the_box_around_them_and_never_on_each_other(seed: int, shape: Shape) -> None:
    around: dict[int, Tile] = {-1: Tile(CROWD, -1, 0, 0, shape.width, shape.height)}
    beside: dict[int, list[Tile]] = {}
    for tile in tiles(tree(seed), 0, 0, shape.width, shape.height):
        outer = around[tile.depth - 1]
        assert outer.x - 1e-6 <= tile.x and tile.x + tile.width <= outer.x + outer.width + 1e-6
        assert outer.y - 1e-6 <= tile.y and tile.y + tile.height <= outer.y + outer.height + 1e-6
        for other in beside.get(tile.depth, ()):
            apart = min(tile.x + tile.width - other.x, other.x + other.width - tile.x)
            below = min(tile.y + tile.height - other.y, other.y + other.height - tile.y)
            assert min(apart, below) < 1e-6
        around[tile.depth] = tile
        beside.setdefault(tile.depth, []).append(tile)
        beside[tile.depth + 1] = []


def test_a_box_too_narrow_for_a_word_has_none_but_still_says_what_it_is() -> None:
    thin = tuple(Retained(f"m.x{n}", "m.T", 1) for n in range(900))
    root = ElementTree.fromstring(svg(Retained("", "", 900, inside=thin), NARROW, {}))
    assert not list(root.iter(f"{SVG}text"))
    assert "m.x0 (m.T), 1 B, 0%" in {title.text for title in root.iter(f"{SVG}title")}


def words_of(whole: Retained, ranks: dict[str, int]) -> set[str]:
    return {text.text or "" for text in ElementTree.fromstring(svg(whole, WIDE, ranks)).iter(f"{SVG}text")}


def test_tiles_say_name_number_and_size() -> None:
    said = words_of(sample.boxes(), {})
    assert {"shop.client · 31 MB", "aiohttp.cookiejar.Morsel", "×24,180 · 20 MB", "+ 88,000 more", "5.0 MB"} <= said


def test_what_a_finding_is_about_is_marked_by_its_number_and_not_by_colour_alone() -> None:
    ranks = ranks_by_name(sample.leak().findings, 4711)
    assert "1▸ aiohttp.cookiejar.CookieJar._cookies · 30 MB" in words_of(sample.boxes(), ranks)
    assert "1▸ aiohttp.cookiejar.Morsel" in words_of(sample.boxes(), ranks)
    assert svg(sample.boxes(), WIDE, ranks).count("accused") == 2


def test_findings_of_another_process_mark_nothing() -> None:
    (finding,) = sample.leak().findings
    assert ranks_by_name((finding,), 4712) == {}
    assert ranks_by_name((dataclasses.replace(finding, pids=()),), 4712)


def test_strings_are_not_marked_because_strings_leak_somewhere() -> None:
    finding = dataclasses.replace(sample.cookie_finding(), type="builtins.str")
    ranks = ranks_by_name((finding,), 4711)
    assert rank_of(Retained("", "builtins.str", 1, 9), ranks) == 0
    assert rank_of(Retained(finding.holder.owner if finding.holder else "", "builtins.dict", 1), ranks) == 1


def test_the_way_to_a_finding_is_known_from_above() -> None:
    ranks = ranks_by_name(sample.leak().findings, 4711)
    client, types, _ = sample.boxes().inside
    assert leads_to_finding(client, ranks) and not leads_to_finding(types, ranks)


@pytest.mark.parametrize("whole", [Retained("", "", 0), Retained("", "", 5), Retained("", "", 0, inside=(CROWD,))])
def test_a_heap_without_boxes_or_bytes_is_drawn(whole: Retained) -> None:
    assert ElementTree.fromstring(svg(whole, WIDE, {})).get("role") == "img"


def test_examples_in_docstrings_hold() -> None:
    assert doctest.testmod(treemap).attempted and not doctest.testmod(treemap).failed
