"""The answers: plain values that JSON can carry, none larger than a client can use."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leakhunt import pipeline
from leakhunt.analysis.growth.known import Known
from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.findings import Finding, Findings
from leakhunt.query import Database
from leakhunt.render import words
from leakhunt.render.graph import draw

from .folder import Folder

CHARACTERS_MAX = 60_000  # of one answer: some 15,000 tokens
TEXT_MAX = 2_000  # of one text in it
ROWS_MAX, FINDINGS_MAX, CHAINS_MAX, CLASSES_MAX = 200, 20, 5, 200
PICTURE_BYTES_MAX = 2_000_000


class Answers:
    """What a server can be asked of the runs in a folder. Each answer may raise a `LeakhuntError`: a plain sentence."""

    def __init__(self, folder: Folder, known: Known) -> None:
        self._folder, self._known = folder, known
        self._analysed: tuple[tuple[Path, float], Findings] | None = None

    def runs(self) -> dict[str, Any]:
        return bounded({"runs": self._folder.runs()})

    def findings(self, run: str) -> dict[str, Any]:
        found = self._findings(run)
        return bounded({
            "verdict": found.verdict, "summary": found.summary, "command": list(found.run.command),
            "seconds": found.run.seconds, "notes": list(found.notes),
            "findings": [_brief(finding) for finding in found.findings[:FINDINGS_MAX]],
            "processes": [
                {"pid": p.pid, "command": p.command, "python": p.python, "snapshots": p.snapshots,
                 "rss_bytes": [*p.rss_bytes[:1], *p.rss_bytes[-1:]], "findings": list(p.findings)}
                for p in found.processes[:FINDINGS_MAX]
            ],
        })  # fmt: skip

    def finding(self, run: str, rank: int) -> dict[str, Any]:
        """One finding whole, without its graph and series."""
        found = self._finding(run, rank)
        told = dataclasses.asdict(dataclasses.replace(found, graph=None, chain=None))
        told["growth"] = {key: told["growth"][key] for key in ("per_minute", "bytes_per_minute")}
        return bounded(told)

    def chain(self, run: str, rank: int | None = None, type_name: str | None = None) -> dict[str, Any]:
        """Of a finding, or of a class: by which references its objects are kept."""
        if type_name is None:
            found = self._finding(run, rank or 1)
            chains = [found.chain] if found.chain is not None else []
        else:
            chains = list(pipeline.chains(self._folder.inside(run), type_name, CHAINS_MAX))
        return bounded({"chains": [
            [{"kind": link.kind, "label": link.label, "type": link.type, "finalizer": link.finalizer}
             for link in chain.links]
            for chain in chains
        ]})  # fmt: skip

    def unit(self, run: str, rank: int) -> dict[str, Any]:
        """What one more entry of the growing place keeps alive."""
        found = self._finding(run, rank)
        return bounded({"type": found.type, "unit": [dataclasses.asdict(row) for row in found.unit]})

    def classes(self, run: str, limit: int) -> dict[str, Any]:
        """A histogram: instances and bytes of each class at the end, and how they grew, the largest growth first."""
        sums: dict[str, list[int]] = {}
        for process in self._findings(run).processes:
            for series in (*process.classes, *process.quieter):
                row = sums.setdefault(series.type, [0, 0, 0, 0])
                ends = (series.counts[-1], series.bytes[-1], series.counts[0], series.bytes[0])
                for k, number in enumerate(ends):
                    row[k] += number
        ordered = sorted(sums.items(), key=lambda item: -abs(item[1][1] - item[1][3]))
        return bounded({"count": len(ordered), "classes": [
            {"type": name, "objects": row[0], "bytes": row[1], "objects_more": row[0] - row[2],
             "bytes_more": row[1] - row[3]}
            for name, row in ordered[: _within(limit, CLASSES_MAX)]
        ]})  # fmt: skip

    def sql(self, run: str, sql: str, limit: int) -> dict[str, Any]:
        """One SELECT over the tables of a run: nothing but these can be read, and nothing be written."""
        answer = Database(self._folder.inside(run), self._known, is_locked=True).ask(sql)
        most = _within(limit, ROWS_MAX)
        rows = answer.some_rows(most + 1)
        told = [[plain(value) for value in row] for row in rows[:most]]
        return bounded({"columns": list(answer.columns), "rows": told, "is_cut": len(rows) > most})

    def graph(self, run: str, rank: int | None = None, type_name: str | None = None, format_: str = "svg") -> bytes:
        """The reference graph of a finding, or of a class, as "svg", "png" or "dot"."""
        if format_ not in ("svg", "png", "dot"):
            raise UsageError(f"A graph can't be had as {format_[:40]!r}.", "Choose svg, png or dot.")
        graph = None
        if type_name is not None:
            graph = pipeline.backrefs(self._folder.inside(run), type_name)
        else:
            graph = self._finding(run, rank or 1).graph
        if graph is None:
            raise LeakhuntError("There is no graph of this finding: nothing in the heap holds it.")
        drawn = draw(graph, format_)
        data = drawn.encode() if isinstance(drawn, str) else drawn
        if len(data) > PICTURE_BYTES_MAX:
            raise LeakhuntError(f"The picture has {len(data):,} bytes, which is too much.", "Ask for format dot.")
        return data

    def _finding(self, run: str, rank: int) -> Finding:
        found = self._findings(run).findings
        if not 1 <= rank <= len(found):
            raise UsageError(f"There is no finding {rank}: the run has {len(found)}.", "`findings` lists them.")
        return found[rank - 1]

    def _findings(self, run: str) -> Findings:
        """The analysis of a run; that of the last one asked for is kept while nothing is added to it."""
        path = self._folder.inside(run)
        newest = max((file.stat().st_mtime for file in path.glob("pid-*/*.leak")), default=0.0)
        if self._analysed is None or self._analysed[0] != (path, newest):
            self._analysed = ((path, newest), pipeline.hunt(path, known=self._known))
        return self._analysed[1]


def _brief(finding: Finding) -> dict[str, Any]:
    holder = finding.holder
    return {
        "rank": finding.rank, "kind": finding.kind, "type": finding.type, "confidence": finding.confidence,
        "reason": finding.reason, "holder": holder.owner if holder else None,
        "place": words.place(holder.file, holder.line) if holder else None,
        "per_minute": finding.growth.per_minute, "bytes_per_minute": finding.growth.bytes_per_minute,
        "retained_bytes": finding.retained_size_bytes, "advice": finding.advice, "fingerprint": finding.fingerprint,
        "pids": list(finding.pids[:FINDINGS_MAX]),
    }  # fmt: skip


def bounded(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with long texts cut; lists are halved until all of it is small enough, and `is_cut` says so."""
    answer = _cut_texts(answer)
    while len(json.dumps(answer)) > CHARACTERS_MAX:
        longest = max(_lists(answer), key=lambda one: len(json.dumps(one)), default=None)
        if not longest:
            return {"is_cut": True}
        del longest[len(longest) // 2 :]
        answer["is_cut"] = True
    return answer


def plain(value: Any) -> Any:
    """A value of a database as JSON has it; bytes and what else it lacks as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(one) for one in value]
    return str(value)


def _cut_texts(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= TEXT_MAX else f"{value[:TEXT_MAX]}…"
    if isinstance(value, dict):
        return {key: _cut_texts(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_cut_texts(one) for one in value]
    return value


def _lists(value: Any) -> list[list[Any]]:
    """Every list in an answer."""
    if isinstance(value, dict):
        return [found for one in value.values() for found in _lists(one)]
    if isinstance(value, list):
        return [value, *(found for one in value for found in _lists(one))]
    return []


def _within(number: int, most: int) -> int:
    return max(1, min(number, most))
