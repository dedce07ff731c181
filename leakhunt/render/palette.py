"""Colours of every picture, safe for the colour-blind, and the shapes that say the same without colour.

The hues are Okabe and Ito's (2008); the dark variants are the same hues, lighter or dimmer until text on them
reads at 4.5:1 or better.
"""

from __future__ import annotations

from dataclasses import dataclass

LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6a5d00", "#555555")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))

INK, PAPER, QUIET, FAULT = "#1a1a1a", "#ffffff", "#595959", "#B34700"
DARK_INK, DARK_PAPER, DARK_QUIET, DARK_FAULT = "#ececec", "#16181c", "#a8adb5", "#ff9e5e"


@dataclass(frozen=True)
class Role:
    """How a node of one role looks: fills for light and dark, and what its legend says."""

    word: str
    means: str
    fill: str
    dark_fill: str


ROLES = {
    "root": Role("GC root", "the interpreter itself holds this", "#cfe8f7", "#0b3f5e"),
    "holder": Role("holder", "this keeps the leaked objects and only grows", "#fbe3b0", "#5b4200"),
    "leaked": Role("leaked", "these pile up", "#fbd3bd", "#6b2c05"),
    "finalizer": Role("has __del__", "its finalizer decides when this chain can die", "#eed6e4", "#562a42"),
    "": Role("", "an object on the way", "#f1f1f1", "#2b2f36"),
}


def role(name: str) -> Role:
    """The look of a role; an unknown one looks like an object on the way."""
    return ROLES.get(name, ROLES[""])
