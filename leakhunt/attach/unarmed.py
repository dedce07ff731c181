"""Why a Python that `leakhunt run` started, or one that this started in turn, did not load the agent by itself.

Told from outside by how it was started; the agent comes in as the `sitecustomize` of the first PYTHONPATH entry.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence

_PREVENTING = "IES"  # no PYTHONPATH, no environment at all, no site
_TAKES_A_WORD = "WX"
_ENDS_OPTIONS = "cm"
_WORD = re.compile(r"-[A-Za-z]+")


def why_unarmed(command: Sequence[str], environment: Mapping[str, str], launch_folder: str) -> str:
    """A reason as in "process 4711 …"; "" when nothing speaks against its being armed.

    `command` and `environment` are those of the process when it was started, and a Python it must be.
    """
    if flag := _preventing_flag(command):
        return f"runs with {flag}"
    if "LEAKHUNT_RUN" not in environment:
        return "was started without the environment of leakhunt"
    for entry in environment.get("PYTHONPATH", "").split(os.pathsep):
        if entry == launch_folder:
            return ""
        if entry and _has_sitecustomize(entry):
            return f"loads the sitecustomize of {entry}"
    return "was started with another PYTHONPATH"


def _preventing_flag(command: Sequence[str]) -> str:
    """The first of -I, -E and -S, alone or among others (-sE), before the script."""
    words = iter(command[1:])
    for word in words:
        if not _WORD.match(word):
            return ""
        for index, letter in enumerate(word[1:], 2):
            if letter in _PREVENTING:
                return f"-{letter}"
            if letter in _ENDS_OPTIONS:
                return ""
            if letter in _TAKES_A_WORD:
                if index == len(word):
                    next(words, "")
                break
    return ""


def _has_sitecustomize(folder: str) -> bool:
    found = glob.glob(os.path.join(glob.escape(folder), "sitecustomize*"))
    return any(re.fullmatch(r"sitecustomize(\.py|\..*so)?", os.path.basename(path)) for path in found)
