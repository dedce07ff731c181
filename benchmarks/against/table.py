"""The results as Markdown: one row for each tool, one for each case, and in words how it was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from against.scoring import NEVER, Score, has_class_to_name, holder_names

Truths = dict[str, dict[str, Any]]
Results = dict[str, dict[str, dict[str, Any]]]

METHOD = Path(__file__).parent / "method.md"
MADE_FOR = {
    "leakhunt": "a running program that grows: who holds what, and whether it is a leak at all",
    "objgraph": "a person at a prompt: counts by class, then pictures of who refers to an object",
    "tracemalloc": "where memory was allocated, line by line; in the standard library",
    "guppy3": "exploring one heap by hand: sets of objects, by class, size, referrers, paths",
    "pympler": "sizes of objects and of classes, and their difference between two moments",
}


@dataclass(frozen=True)
class Table:
    truths: Truths
    results: Results
    scores: dict[str, dict[str, Score]]  # by case, by tool; without those that failed
    tools: list[str]

    def cases(self, wanted: Callable[[dict[str, Any]], bool]) -> list[str]:
        return [case for case, truth in self.truths.items() if wanted(truth)]

    def markdown(self, rounds: str, versions: str) -> str:
        classless = len(self.cases(_is_leak)) - len(self.cases(_is_named))
        controls = len(self.cases(_is_control))
        method = METHOD.read_text().format(rounds=rounds, versions=versions, classless=classless, controls=controls)
        return "\n".join([method, *self.summary(), "", *self.by_case(), *self.failures()]) + "\n"

    def summary(self) -> Iterator[str]:
        yield (
            "| | made for | named first | among three | holder | quiet "
            "| processor time added | longest stop | for the holder |"
        )
        yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
        named, held, controls = self.cases(_is_named), self.cases(_has_holder), self.cases(_is_control)
        for tool in self.tools:
            ranks = [score.rank or NEVER for score in self._scores(tool, named)]
            holders = [score.holder for score in self._scores(tool, held)]
            holder = "-" if None in holders else f"{sum(map(bool, holders))}/{len(held)}"
            yield (
                f"| {tool} | {MADE_FOR[tool]} | {sum(r == 1 for r in ranks)}/{len(named)} "
                f"| {sum(r <= 3 for r in ranks)}/{len(named)} | {holder} | {self._quiet(tool, controls)} "
                f"| {self._cpu_added(tool)} | {self._stops(tool, 'stops')} | {self._stops(tool, 'holder_stops')} |"
            )

    def _scores(self, tool: str, cases: list[str]) -> list[Score]:
        return [self.scores[case][tool] for case in cases if tool in self.scores[case]]

    def _quiet(self, tool: str, controls: list[str]) -> str:
        lengths = [len(score.listed) for score in self._scores(tool, controls)]
        quiet = f"{lengths.count(0)}/{len(controls)}"
        return f"{quiet}, lists {median(filter(None, lengths)):.0f}" if any(lengths) else quiet

    def _cpu_added(self, tool: str) -> str:
        added = []
        for by_tool in self.results.values():
            if {"cpu_seconds"} <= by_tool[tool].keys() & by_tool["alone"].keys():
                added.append(by_tool[tool]["cpu_seconds"] - by_tool["alone"]["cpu_seconds"])
        return f"{median(added):.1f} ({max(added):.1f}) s" if added else "-"

    def _stops(self, tool: str, kind: str) -> str:
        longest = [stop for by_tool in self.results.values() if (stop := _longest(by_tool[tool], kind)) > 0]
        return f"{median(longest) * 1e3:,.0f} ({max(longest) * 1e3:,.0f}) ms" if longest else "-"

    def by_case(self) -> Iterator[str]:
        yield "By case: the rank at which a right name (tracemalloc: file) is listed, *h* if the holder is named too,"
        yield "and what is listed first where that is something else; for a control, how much is listed."
        yield ""
        yield f"| case | {' | '.join(self.tools)} |"
        yield f"|---|{'---|' * len(self.tools)}"
        for case, truth in self.truths.items():
            yield f"| {case} | {' | '.join(self._cell(case, truth, tool) for tool in self.tools)} |"

    def _cell(self, case: str, truth: dict[str, Any], tool: str) -> str:
        score = self.scores[case].get(tool)
        if score is None:
            return "failed"
        if _is_control(truth):
            return f"lists {len(score.listed)}" if score.listed else "quiet"
        if not has_class_to_name(truth):
            kinds = [finding["kind"] for finding in self.results[case][tool].get("findings", [])]
            return f"`{kinds[0]}`" if kinds else "-"
        first = f" `{score.listed[0]}`" if score.listed and score.rank != 1 else ""
        return f"{score.rank or '-'}{' *h*' if score.holder else ''}{first}"

    def failures(self) -> Iterator[str]:
        failed = [
            f"- {case}, {tool}: {by_tool[tool]['error']}"
            for case, by_tool in self.results.items()
            for tool in ["alone", *self.tools]
            if "error" in by_tool[tool]
        ]
        if failed:
            yield from ("", "What could not look, or broke off:", "", *failed)


def _longest(result: dict[str, Any], kind: str) -> float:
    """Seconds; 0 where there was no such look."""
    return max((stop for look in result.get("looks", [result]) for stop in look.get(kind, [])), default=0.0)


def _is_control(truth: dict[str, Any]) -> bool:
    return bool(truth["kind"] == "control")


def _is_leak(truth: dict[str, Any]) -> bool:
    return not _is_control(truth)


def _is_named(truth: dict[str, Any]) -> bool:
    return _is_leak(truth) and has_class_to_name(truth)


def _has_holder(truth: dict[str, Any]) -> bool:
    return _is_leak(truth) and bool(holder_names(truth))
