"""A rich console that writes into a string, with glyphs the reader's encoding has."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

# One character for one, for the lines are already laid out.
_ASCII = str.maketrans({"·": "-", "…": "~", "×": "x", "–": "-", "—": "-"})


class _Sheet(io.StringIO):
    """A StringIO with an encoding, from which rich chooses between box drawing and ASCII."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


class Page:
    """Collects what is printed; `text()` gives it without trailing blanks, safe to write in `encoding`."""

    def __init__(self, color: bool, width: int, encoding: str = "utf-8") -> None:
        self.encoding = encoding
        self.ascii = not encoding.lower().startswith("utf")
        self.console = Console(
            file=_Sheet(encoding),
            force_terminal=color,
            force_jupyter=False,
            color_system="standard" if color else None,
            no_color=not color,
            legacy_windows=False,
            width=max(width, 40),
            markup=False,
            emoji=False,
            highlight=False,
        )

    def print(self, *renderables: Any) -> None:
        self.console.print(*renderables)

    def text(self) -> str:
        written = self.console.file.getvalue()  # type: ignore[attr-defined]
        if self.ascii:
            written = written.translate(_ASCII).encode(self.encoding, "backslashreplace").decode(self.encoding)
        return "\n".join(line.rstrip() for line in written.split("\n"))
