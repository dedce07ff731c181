"""Findings to something a person, a browser or a script reads.

A renderer is one class and one line in `REGISTRY`. Names are looked up on use, so that the text report of a
`leakhunt run` loads neither matplotlib nor jinja2.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Protocol

from leakhunt.errors import UsageError
from leakhunt.findings import Findings


class Renderer(Protocol):
    """One output format; options belong to the constructor and all have defaults."""

    def render(self, findings: Findings) -> str | bytes:
        """The whole report."""
        ...


class _Lazy(Mapping[str, type[Renderer]]):
    """Format name -> renderer class, each module imported when its format is first asked for."""

    def __init__(self, places: dict[str, str]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> type[Renderer]:
        module, _, attribute = self._places[name].partition(":")
        renderer: type[Renderer] = getattr(importlib.import_module(module), attribute)
        return renderer

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


REGISTRY: Mapping[str, type[Renderer]] = _Lazy(
    {
        "text": "leakhunt.render.text:Text",
        "json": "leakhunt.render.jsonout:Json",
        "html": "leakhunt.render.html:Html",
    }
)


def renderer(name: str) -> type[Renderer]:
    """The renderer class of a format; an unknown name is a `UsageError` that lists the known ones."""
    try:
        return REGISTRY[name]
    except KeyError:
        raise UsageError(f"There is no report format {name!r}.", f"Choose one of: {', '.join(REGISTRY)}.") from None
