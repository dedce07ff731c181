"""Memory of C code, and whose it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from heap import Heap

from leakhunt.agent import schema
from leakhunt.analysis.rules.native import fit

from .judging import accused
from .test_memory import MB, STEPS, ledger


def test_a_fit_of_a_line_is_whole_and_of_a_flat_series_nothing() -> None:
    assert fit(np.array([0.0, 1, 2]), np.array([3.0, 5, 7])).each == 2.0
    assert fit(np.array([0.0, 1, 2]), np.array([3.0, 5, 7])).fits == 1.0
    assert fit(np.array([1.0, 1, 1]), np.array([3.0, 5, 7])).fits == 0.0


def leaks(kind: str, flags: int, in_use: np.ndarray, each_time: Callable[[int], int] = lambda k: 10) -> list[str]:
    """Kinds of the accusations, the heaviest first, of a program that keeps objects while malloc's use grows."""
    heap = Heap()
    heap.type(kind, flags=flags)
    thumbnails, figures = heap.list(), ledger(resident=in_use, in_use=in_use)
    heap.module("shop", THUMBNAILS=thumbnails)

    def serve(k: int) -> dict[str, float]:
        thumbnails.extend(heap.instance(kind) for _ in range(each_time(k)))
        return figures[k]

    found = accused(heap.live(serve, moments=len(figures)))
    return [verdict.kind + (" for each" if "for each" in verdict.reason else "") for verdict in found]


@pytest.mark.parametrize("kind", ["imaging.Image", "numpy.ndarray"], ids=["of an extension", "of views"])
def test_memory_that_grows_with_leaked_objects_of_an_extension_is_theirs(kind: str) -> None:
    # shop.THUMBNAILS -> Image, Image, …; 200 kB of malloc's use for each
    flags = schema.TYPE_EXTENSION
    assert leaks(kind, flags, 2 * STEPS) == ["python-leak for each"]


def test_memory_beside_leaked_objects_of_a_python_class_is_nobodys() -> None:
    assert leaks("shop.Thumbnail", 0, 2 * STEPS) == ["native-growth", "python-leak"]


def test_memory_that_grows_at_another_pace_than_the_objects_is_nobodys() -> None:
    by_fits = np.cumsum([20, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]) * 1.0
    by_fits[3:] += np.cumsum(np.arange(11)) * 0.3
    found = leaks("imaging.Image", schema.TYPE_EXTENSION, by_fits, lambda k: 150 if k % 7 == 3 else 1)
    assert "python-leak for each" not in found


def test_the_share_of_an_object_is_told_with_how_well_it_fits() -> None:
    heap = Heap()
    heap.type("imaging.Image", flags=schema.TYPE_EXTENSION)
    thumbnails, figures = heap.list(), ledger(resident=2 * STEPS, in_use=2 * STEPS)
    heap.module("shop", THUMBNAILS=thumbnails)

    def serve(k: int) -> dict[str, float]:
        thumbnails.extend(heap.instance("imaging.Image") for _ in range(10))
        return figures[k]

    (verdict,) = accused(heap.live(serve, moments=len(figures)))
    assert verdict.type == "imaging.Image"
    assert "by 200 kB for each (fits 100%)" in verdict.reason
    assert verdict.native_bytes == pytest.approx(20 * MB, rel=0.05)  # from the end of the warm-up on


def unseen(in_use: np.ndarray, leak_bytes: int = 0, by_size: str = "") -> list[str]:
    """Kinds of the accusations of a program whose blocks of Python's allocator take so many megabytes more."""
    heap = Heap()
    kept = heap.list()
    heap.module("shop", KEPT=kept, CATALOGUE=heap.list(heap.string(500) for _ in range(10_000)))

    def serve(k: int) -> dict[str, object]:
        kept.extend(heap.bytes(400) for _ in range(leak_bytes // 400))
        taken = MB * float(in_use[k])
        return {
            "rss_anonymous_bytes": 50 * MB + taken, "rss_bytes": 60 * MB + taken,
            "pymalloc_in_use_bytes": 8 * MB + taken, "pymalloc_arena_bytes": 30 * MB + taken,
            "pymalloc_blocks": by_size % (1000 + 400 * k) if by_size else "",
        }  # fmt: skip

    return [f"{verdict.kind}: {verdict.reason}" for verdict in accused(heap.live(serve, moments=len(in_use)))]


def test_blocks_of_pythons_allocator_that_no_object_has_are_native_growth() -> None:
    (said,) = unseen(0.2 * STEPS, by_size="32:9000 160:%d")
    assert said.startswith("native-growth: ")
    assert "blocks of Python's allocator, most of 145 to 160 bytes, that no object in sight has" in said


@pytest.mark.parametrize(
    "in_use",
    [np.zeros(14), STEPS % 4 * 0.5, np.minimum(STEPS, 4) * 0.5, STEPS * 0.01],
    ids=["flat", "a saw-tooth", "a warm-up", "a trickle"],
)
def test_blocks_that_come_to_an_end_are_none(in_use: np.ndarray) -> None:
    assert unseen(in_use) == []


def test_blocks_that_leaked_objects_have_are_their_leak_alone() -> None:
    (said,) = unseen(0.4 * STEPS, leak_bytes=400_000)
    assert said.startswith("python-leak: ")
