"""What `git bisect run` calls for each commit: `python -m leakhunt.bisect.step FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from leakhunt.bisect.commits import EXIT_STOP, step
from leakhunt.config import known_places
from leakhunt.errors import LeakhuntError


def main() -> int:
    try:
        return step(Path(sys.argv[1]), known_places(), lambda what, share: None)
    except LeakhuntError as problem:
        sys.stderr.write(f"{problem}\n")
        return EXIT_STOP


if __name__ == "__main__":
    sys.exit(main())
