"""For mkdocs: writes the tables of doubts and thresholds into the page that explains verdicts, from the code itself."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

from leakhunt.analysis.growth import holders
from leakhunt.analysis.policy import POLICY
from leakhunt.analysis.rules import doubts


def on_page_markdown(markdown: str, **_: Any) -> str:
    if "<!-- doubts -->" in markdown:
        markdown = markdown.replace("<!-- doubts -->", doubts_table())
    if "<!-- thresholds -->" in markdown:
        markdown = markdown.replace("<!-- thresholds -->", thresholds_table())
    return markdown


def doubts_table() -> str:
    questions = [*holders.DOUBTS, *doubts.DOUBTS, *(q for q in doubts.LAST if q not in doubts.DOUBTS)]
    return "\n".join(["| doubt | asks |", "|---|---|", *map(_row, questions)])


def thresholds_table() -> str:
    rows = [f"| `{f.name}` | {getattr(POLICY, f.name):g} | {f.metadata['why']} |" for f in dataclasses.fields(POLICY)]
    return "\n".join(["| threshold | value | because |", "|---|---|---|", *rows])


def _row(question: Callable[..., Any]) -> str:
    told = (inspect.getdoc(question) or _says(question)).split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    return f"| {question.__name__.strip('_').replace('_', ' ')} | {told} |"


def _says(question: Callable[..., Any]) -> str:
    """The longest text in a doubt without docstring: what it tells the reader of `--why`."""
    texts = re.findall(r'"([^"]{12,})"', inspect.getsource(question))
    return re.sub(r"\{[^}]*\}", "…", max(texts, key=len, default=""))
