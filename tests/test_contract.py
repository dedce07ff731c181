"""Each rule that a snapshot must keep, broken alone: the file is left out by name, its run is reported without it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heap import Heap, run_folder, save

from leakhunt import contract, pipeline
from leakhunt.errors import RunError, SnapshotError
from leakhunt.runfolder import read_run
from leakhunt.snapshot import Snapshot

Columns = dict[str, Any]


def moments(number: int = 12) -> list[Snapshot]:
    heap = Heap(interval=1.0)
    orders = heap.list([])
    heap.module("shop", "shop.py", ORDERS=orders)
    found = []
    for _ in range(number):
        for _ in range(40):
            orders.append(heap.instance("shop.Order"))
        found.append(heap.snapshot())
    return found


def changed(taken: Snapshot, change: Callable[[Columns], object], **meta: str) -> Snapshot:
    columns = dict(taken._columns)
    change(columns)
    return Snapshot({**taken.meta, **meta}, columns)


def set_to(name: str, value: Any) -> Callable[[Columns], None]:
    def change(columns: Columns) -> None:
        column = columns[name].copy()
        column[-1:] = value
        columns[name] = column

    return change


def in_words_of(name: str, dtype: str) -> Callable[[Columns], None]:
    return lambda columns: columns.__setitem__(name, columns[name].astype(dtype))


def empty(table: str) -> Callable[[Columns], None]:
    return lambda columns: columns.update({n: c[:0] for n, c in columns.items() if n.startswith(f"{table}.")})


BREACHES: dict[str, tuple[Callable[[Columns], object], str]] = {
    "object types of 64 bits": (in_words_of("object.type", "<u8"), "object.type is of another type"),
    "addresses of 32 bits": (in_words_of("object.address", "<u4"), "object.address is of another type"),
    "flags of 32 bits": (in_words_of("object.flags", "<u4"), "object.flags is of another type"),
    "no types": (empty("type"), "leaves type.name"),
    "no type names": (lambda c: c.pop("type.name"), "its table type lacks a column"),
    "no census": (lambda c: [c.pop(n) for n in list(c) if n.startswith("census.")], "its table census lacks"),
    "a graph without objects": (
        lambda c: [c.pop(n) for n in list(c) if n.startswith("object.")],
        "its table object lacks",
    ),
    "a table of two lengths": (lambda c: c.update({"root.kind": c["root.kind"][:-1]}), "columns of different lengths"),
    "a spectrum cut short": (
        lambda c: c.update({"spectrum.count": np.zeros(7, "<u8")}),
        "its spectra of ages are more or fewer",
    ),
    "places of other objects": (
        lambda c: c.update({"object.place": np.zeros(1, "<u4")}),
        "its places are more or fewer than its objects",
    ),
    "no references": (lambda c: c.pop("reference.target"), "its references lead nowhere"),
    "a reference too many": (set_to("reference.count", 9), "more or fewer than its objects"),
    "a label past the end": (set_to("label.position", 1 << 40), "a label has no reference"),
    "a type past the end": (set_to("object.type", 1 << 31), "object.type leaves type.name"),
    "a string past the end": (set_to("strings.end", 1 << 63), "its strings overlap"),
    "a first string of something": (
        lambda c: c.update({"strings.end": c["strings.end"] + np.uint64(1)}),
        "its first string is not the empty one",
    ),
    "more bytes than there are": (set_to("census.bytes", 1 << 62), "census.bytes is more than any machine has"),
    "an endless container": (set_to("container.length", (1 << 64) - 1), "container.length is more than"),
}


@pytest.mark.parametrize("name", BREACHES)
def test_a_snapshot_that_breaks_a_rule_is_left_out_by_name(name: str, tmp_path: Path) -> None:
    change, rule = BREACHES[name]
    taken = moments(5)[-1]
    path = save(changed(taken, change), tmp_path / "s.leak")
    with pytest.raises(SnapshotError) as raised:
        Snapshot.load(path)
    assert f"{path} is damaged: " in str(raised.value) and rule in str(raised.value)
    assert Snapshot.load(save(taken, tmp_path / "whole.leak")).is_deep


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("elapsed", "nan"), ("elapsed", "-1"), ("elapsed", ""), ("interval", "inf"), ("rss_bytes", "1e400"),
        ("pause_ms", "soon"), ("later_seconds", "nan"), ("gc_collections", ""), ("gc_collections", "1 x"),
        ("gc_threshold", "9" * 5000),
        ("generation_rows", "1 x"),
        ("pymalloc_blocks", "16:many"),
    ],
)  # fmt: skip
def test_a_number_of_the_ledger_that_is_none_is_damage(key: str, value: str, tmp_path: Path) -> None:
    path = save(changed(moments(1)[0], lambda columns: None, **{key: value}), tmp_path / "s.leak")
    with pytest.raises(SnapshotError, match=f"its {key} is no"):
        Snapshot.load(path)


def test_what_the_target_could_not_say_is_no_damage(tmp_path: Path) -> None:
    taken = moments(1)[0]
    meta = {key: value for key, value in taken.meta.items() if not key.startswith(("rss", "gc_", "hold"))}
    assert Snapshot.load(save(Snapshot(meta, taken._columns), tmp_path / "s.leak")).number("rss_bytes") == 0


def test_every_column_of_the_format_has_its_rule() -> None:
    from leakhunt.agent import schema

    told = {
        word for line in (schema.__doc__ or "").splitlines() if "<u" in line or "|u1" in line for word in line.split()
    }
    assert {name for name in contract.DTYPES_BY_COLUMN if name in told} >= {"object.address", "reference.count"}
    tables = {name.partition(".")[0] for name in contract.DTYPES_BY_COLUMN}
    written = {name for name in moments(1)[0]._columns if name.partition(".")[0] in tables}
    assert written <= contract.DTYPES_BY_COLUMN.keys()


@pytest.mark.parametrize("name", BREACHES)
def test_one_damaged_snapshot_does_not_cost_the_report(name: str, tmp_path: Path) -> None:
    taken = moments(24)
    run = run_folder(tmp_path / "run", taken)
    path = sorted(run.glob("pid-*/*.leak"))[-1]
    save(changed(taken[-1], BREACHES[name][0]), path)
    found = pipeline.hunt(run)
    assert found.verdict == "leak"
    assert any(f"Left out: {path} is damaged" in note for note in found.processes[0].notes)


def test_a_snapshot_from_before_the_last_one_is_left_out(tmp_path: Path) -> None:
    taken = moments(24)
    taken[10].meta["elapsed"] = "2.0"
    found = pipeline.hunt(run_folder(tmp_path / "run", taken))
    assert found.verdict == "leak"
    assert any("000011.leak is damaged: it is older" in note for note in found.processes[0].notes)


@pytest.mark.parametrize(
    "change",
    [
        {"command": 5}, {"command": [1, None]}, {"started": "x", "ended": []}, {"started": 1e400, "ended": "x"},
        {"ended": float("nan")}, {"options": []}, {"options": {"interval": "x"}}, {"options": {"interval": -1}},
        {"options": {"interval": {}}}, {"exit_status": "0"}, {"schema": "1"}, {"schema": None}, {"leakhunt": {}},
    ],
    ids=str,
)  # fmt: skip
def test_fields_of_the_description_that_are_not_as_written_are_as_good_as_none(
    change: dict[str, Any], tmp_path: Path
) -> None:
    run = run_folder(tmp_path / "run", moments(3))
    description = run / "run.json"
    description.write_text(json.dumps({**json.loads(description.read_text()), **change}))
    found = pipeline.hunt(run)
    assert found.verdict == "inconclusive" and found.run.snapshots == 3
    assert not change.keys() & read_run(run).info.keys()


@pytest.mark.parametrize("name", ["run.json", "process", "problems", "000002.leak"])
def test_a_pipe_in_the_run_folder_is_not_waited_for(name: str, tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", moments(3))
    path = next(run.glob("pid-*")) / name if name != "run.json" else run / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert pipeline.hunt(run).run.snapshots == (2 if name.endswith(".leak") else 3)


def test_a_folder_of_a_pid_that_no_system_gives_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / f"pid-{'9' * 200}.0").mkdir()
    with pytest.raises(RunError, match="not a run folder"):
        read_run(tmp_path)
