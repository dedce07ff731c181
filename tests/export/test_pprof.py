"""Retained bytes by path: the paths, and the file as an independent reader decodes it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from heap import Heap

from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.export import paths, pprof

from .reading import javascript


def stacks(heap: Heap) -> dict[tuple[str, ...], tuple[int, int]]:
    """(objects, bytes) by path, from the root down."""
    found = paths.paths(HeapGraph(heap.snapshot()))
    told = {}
    for path, objects in enumerate(found.objects.tolist()):
        words, above = [], path
        while above >= 0:
            words.append(found.texts[int(found.frames[above])])
            above = int(found.parents[above])
        if objects:
            told[tuple(reversed(words))] = objects, int(found.sizes[path])
    return told


def shop() -> Heap:
    # shop -> STORE -> orders -> 3 Orders; main's local refers to the store's cache, too
    heap = Heap()
    cache = heap.dict()
    store = heap.instance("shop.Store", orders=heap.list([heap.instance("shop.Order") for _ in range(3)]), cache=cache)
    heap.module("shop", STORE=store)
    heap.frame("shop.main", cache=cache)
    return heap


def test_objects_that_are_reached_alike_are_one_path() -> None:
    top = "module shop", "__dict__ builtins.dict", ".STORE shop.Store"
    found = {path[-3:]: value for path, value in stacks(shop()).items()}
    assert found[(*top[-1:], ".orders builtins.list", "[*] shop.Order")] == (3, 144)


def test_what_two_roots_hold_is_below_neither() -> None:
    shared = [path for path in stacks(shop()) if path[0] == paths.SHARED]
    assert any("shop.Store.cache" in path[1] or "cache" in path[1] for path in shared)


def test_all_bytes_of_the_heap_are_in_it_garbage_included() -> None:
    heap = shop()
    a = heap.instance("shop.A")
    a.b = heap.instance("shop.B", a=a)
    found = stacks(heap)
    assert found[paths.GARBAGE, "shop.A"] == (1, 48)
    assert sum(size for _, size in found.values()) == int(HeapGraph(heap.snapshot()).sizes.sum())


def test_a_linked_list_is_one_frame_however_long() -> None:
    heap = Heap()
    head = None
    for _ in range(3 * paths.DEPTH_MAX):
        head = heap.instance("shop.Link", **({"next": head} if head else {}))
    heap.module("shop", HEAD=head)
    assert max(map(len, stacks(heap))) < 8
    assert sum(objects for objects, _ in stacks(heap).values()) == HeapGraph(heap.snapshot()).count


def test_a_chain_of_two_classes_by_turns_ends_at_the_deepest_frame() -> None:
    heap = Heap()
    head = heap.instance("shop.A")
    for number in range(2 * paths.DEPTH_MAX):
        head = heap.instance(f"shop.{'AB'[number % 2]}", next=head)
    heap.module("shop", HEAD=head)
    found = stacks(heap)
    assert max(map(len, found)) <= paths.DEPTH_MAX + 2
    assert sum(objects for objects, _ in found.values()) == HeapGraph(heap.snapshot()).count


def test_another_reader_decodes_every_sample(tmp_path: Path) -> None:
    graph = HeapGraph(shop().snapshot())
    with open(tmp_path / "shop.pb.gz", "wb") as file:
        pprof.write(graph, file)
    read = json.loads(javascript("pprof_samples.js", tmp_path / "shop.pb.gz"))
    assert read["types"] == [["objects", "count"], ["space", "bytes"]]
    assert read["default"] == "space"
    assert {tuple(reversed(stack)): tuple(values) for stack, values in read["samples"]} == stacks(shop())


def test_the_same_heap_gives_the_same_bytes() -> None:
    files = [io.BytesIO(), io.BytesIO()]
    graph = HeapGraph(shop().snapshot())
    for file in files:
        pprof.write(graph, file)
    assert files[0].getvalue() == files[1].getvalue()
    assert np.sum(graph.sizes) > 0
