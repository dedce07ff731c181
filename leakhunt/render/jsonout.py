"""The report for scripts: the JSON that the contract promises."""

from __future__ import annotations

from leakhunt.findings import Findings


class Json:
    """`Findings.to_json` with a newline at the end, as files on Unix have it."""

    def __init__(self, indent: int | None = 1) -> None:
        self.indent = indent

    def render(self, findings: Findings) -> str:
        return findings.to_json(self.indent) + "\n"
