"""Looks for damage that leads into new lines of the reader: `python tests/hostile/guided.py -runs=1000000`.

By atheris (`pip install atheris`; arguments are libFuzzer's), with the damages of damage.py as its mutator. It starts from
`corpus/`, to which whole snapshots are added, and ends at the first input that is neither read nor refused in a plain
sentence, leaving its file in the current directory: give it a name in `corpus/`, where the tests read it from then on.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from random import Random

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent)]

import atheris

with atheris.instrument_imports(include=["leakhunt.snapshot", "leakhunt.contract", "leakhunt.analysis"]):
    import fuzzing

import contextlib

from damage import damaged, damaged_bytes

from leakhunt.errors import LeakhuntError
from leakhunt.snapshot import Snapshot


def mutated(data: bytes, limit_bytes: int, seed: int) -> bytes:
    dice = Random(seed)
    try:
        found = damaged(dice, data)
    except Exception:  # too damaged by now for its table to be read
        found = damaged_bytes(dice, data)
    return found[:limit_bytes]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="leakhunt-guided-") as place:
        path, seeds = Path(place) / "one.leak", Path(place) / "seeds"
        seeds.mkdir()
        for number, file in enumerate(fuzzing.Files(Path(place)).few):
            (seeds / str(number)).write_bytes(file.read_bytes())

        def read(data: bytes) -> None:
            path.write_bytes(data)
            with contextlib.suppress(LeakhuntError):
                fuzzing.consume(Snapshot.load(path))

        corpus = [str(seeds), *([str(fuzzing.CORPUS)] if fuzzing.CORPUS.exists() else [])]
        atheris.Setup([*sys.argv, *corpus], read, custom_mutator=mutated)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
