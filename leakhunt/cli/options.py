"""Options that `run` and `attach` share: what the agent is told in either way."""

from __future__ import annotations

import click

BUDGET = click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True, max=1),
    default=0.01,
    metavar="FRACTION",
    help="Largest share of the program's time to take (default 0.01).",
)
ENGINE = click.option(
    "--engine",
    type=click.Choice(["auto", "c", "python"]),
    default="auto",
    help="What walks the heap (default auto: C where it fits, else Python).",
)
