"""Which distribution a module is of, and its version, by the names of files: nothing of it is imported or run.

A package's metadata is a folder NAME-VERSION.dist-info beside it; what the package puts on `sys.path` stands in the
folder's `top_level.txt`, or else in the first parts of the paths in its `RECORD`.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from leakhunt.reading import read_regular

_METADATA = re.compile(r"(?P<name>[A-Za-z0-9._]+)-(?P<version>[^-]+)\.(dist-info|egg-info)")
_BYTES_MAX = 4 << 20
_FOLDERS_MAX, _DISTRIBUTIONS_MAX = 40, 2000


@dataclass(frozen=True)
class Installed:
    """A distribution as its metadata folder is called: `folder` is where that lies."""

    name: str
    version: str
    folder: str = ""


def installed(folders: Iterable[str], root: str = "") -> list[Installed]:
    """The distributions in the folders of a program's `sys.path`, in the order in which an import looks.

    Args:
        root: where the program's root directory is to be found, for one in a container.
    """
    wanted = [folder for folder in dict.fromkeys(folders) if os.path.isabs(folder)]
    return [found for folder in wanted[:_FOLDERS_MAX] for found in _in_folder(Path(f"{root}{folder}"))]


def packages_of(names: Iterable[str], among: Sequence[Installed]) -> tuple[Installed, ...]:
    """The distributions that dotted names come from, each once; the program's own modules have none.

    A distribution of the module's name is it; else the one whose list of files has the module, where that can be read.
    """
    by_name = {_plain(one.name): one for one in reversed(among)}
    found = []
    for module in dict.fromkeys(name.partition(".")[0] for name in names):
        if module and module not in sys.stdlib_module_names and not module.startswith(("__", "<")):
            known = by_name.get(_plain(module))
            found.append(known or next((one for one in among if module in _top_level(one)), None))
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _in_folder(folder: Path) -> list[Installed]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(match[0] for entry in entries if (match := _METADATA.fullmatch(entry.name)))
    except OSError:
        return []
    matches = [match for name in found[:_DISTRIBUTIONS_MAX] if (match := _METADATA.fullmatch(name))]
    return [Installed(m["name"].replace("_", "-"), m["version"], str(folder / m[0])) for m in matches]


@functools.lru_cache(maxsize=_DISTRIBUTIONS_MAX)
def _top_level(distribution: Installed) -> frozenset[str]:
    """First names of the modules of a distribution; none where its folder is not here."""
    metadata = Path(distribution.folder)
    try:
        text = read_regular(metadata / "top_level.txt", _BYTES_MAX).decode("utf-8", "replace")
        return frozenset(text.split())
    except OSError:
        pass
    try:
        lines = read_regular(metadata / "RECORD", _BYTES_MAX).decode("utf-8", "replace").splitlines()
    except OSError:
        return frozenset()
    first = {line.partition(",")[0].partition("/")[0] for line in lines}
    names = {name.partition(".")[0] for name in first if not name.endswith((".dist-info", ".data", "..", ".pth"))}
    return frozenset(name for name in names if name.isidentifier())
