"""Numbers as people read them; every renderer takes its units from here."""

from __future__ import annotations

import math
from collections.abc import Callable

Write = Callable[[float], str]
"""A function of this module: a number to words."""

_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")


def count(number: float) -> str:
    """
    >>> count(12400), count(0.25), count(-3)
    ('12,400', '0.25', '-3')
    """
    if not math.isfinite(number):
        return "?"
    if abs(number) < 10 and number != int(number):
        return f"{number:.2g}"
    return f"{round(number):,}"


def size(number: float) -> str:
    """Decimal units, as Docker and Kubernetes dashboards show them.

    >>> size(999), size(1_234_567), size(-20_500)
    ('999 B', '1.2 MB', '-20 kB')
    """
    if not math.isfinite(number):
        return "?"
    value, step = float(number), 0
    while abs(value) >= 999.5 and step < len(_SIZES) - 1:
        value, step = value / 1000, step + 1
    digits = 1 if step and abs(value) < 9.95 else 0
    return f"{value:,.{digits}f} {_SIZES[step]}"


def plus(text: str) -> str:
    """A change with its sign always shown.

    >>> plus(count(12)), plus(size(-12)), plus(count(0))
    ('+12', '-12 B', '0')
    """
    return text if text[:1] in "-0?" else f"+{text}"


def per_minute(number: float) -> str:
    """
    >>> per_minute(7440.2)
    '7,440/min'
    """
    return f"{count(number)}/min"


def size_per_minute(number: float) -> str:
    """
    >>> size_per_minute(9.1e6)
    '9.1 MB/min'
    """
    return f"{size(number)}/min"


def duration(seconds: float) -> str:
    """
    >>> duration(0.042), duration(10.24), duration(200), duration(7260)
    ('42 ms', '10.2 s', '3 min 20 s', '2 h 1 min')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def percent(share: float) -> str:
    """
    >>> percent(0.98), percent(0.999)
    ('98%', '99%')
    """
    return f"{min(99, round(share * 100)) if share < 1 else 100}%"


def plural(number: int, noun: str, nouns: str = "") -> str:
    """
    >>> plural(1, "snapshot"), plural(2, "class", "classes")
    ('1 snapshot', '2 classes')
    """
    return f"{count(number)} {noun if number == 1 else nouns or noun + 's'}"
