"""The releases of the packages that a leak runs through: which the program had, which fixed a known leak."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from leakhunt.analysis.growth.known import Fixed, fixed_in
from leakhunt.findings import Finding
from leakhunt.packages import Installed


def known_fix(finding: Finding) -> Fixed | None:
    """The release that fixed this leak, None where none is known."""
    holder = finding.holder
    owners = [holder.owner, *holder.aliases] if holder else []
    return next((fixed for owner in owners if (fixed := fixed_in(owner)) is not None), None)


def with_release(finding: Finding, among: Sequence[Installed]) -> Finding:
    """The finding with a sentence on the release that fixed it, where one is known and the program has the package."""
    known = known_fix(finding)
    if known is None:
        return finding
    said = bounds_hold(known, version_of(known.package, among))
    return replace(finding, advice=" ".join(filter(None, [finding.advice, said])))


def bounds_hold(known: Fixed, version: str) -> str:
    """Whether a version is within the bounds of a known leak, as a sentence; "" where the version is not known."""
    if not version:
        return ""
    span = f"{known.package} {known.since} and later" if known.since else f"{known.package}"
    order = compared(version, known.release)
    if order is None or order < 0:
        return f"Fixed in {known.package} {known.release}, and this run has {version}: {install(known)}."
    return (
        f"This place leaked in {span} up to {known.release}, which fixed it; this run has {version}: "
        f"it is another leak there, or the same one again ({known.source})."
    )


def install(known: Fixed) -> str:
    return f"pip install '{known.package}>={known.release}'"


def version_of(package: str, among: Sequence[Installed]) -> str:
    """The version that the program had, "" where it had none."""
    return next((one.version for one in among if _plain(one.name) == _plain(package)), "")


def compared(one: str, other: str) -> int | None:
    """-1, 0 or 1 as the first version comes before, with or after the other; None without `packaging`."""
    try:
        version: Any = importlib.import_module("packaging.version")
        first, second = version.Version(one), version.Version(other)
    except (ImportError, ValueError):
        return None
    return int(first > second) - int(first < second)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
