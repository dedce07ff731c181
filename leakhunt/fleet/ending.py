"""What a run leaves in a fleet's place when it is over."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from leakhunt.agent.masking import masked_line
from leakhunt.export.tables import run_identity
from leakhunt.findings import Findings
from leakhunt.runfolder import RunFolder, read_run

from .place import Place
from .tables import Origin, rows


def put(findings: Findings, folder: Path, place: Place, service: str | None, release: str | None) -> int:
    """Write what a run found; returns the bytes written.

    Raises:
        LeakhuntError: the place refuses it.
    """
    origin = origin_of(read_run(folder), service, release, os.environ)
    return place.write(rows(findings, origin), origin)


def origin_of(run: RunFolder, service: str | None, release: str | None, environment: Mapping[str, str]) -> Origin:
    """Where a run is from.

    Service and release that are not given are what OpenTelemetry's variables say, the service last the program's name.
    """
    attributes = {
        key.strip(): value.strip()
        for key, is_pair, value in (
            part.partition("=") for part in environment.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
        )
        if is_pair
    }
    named = service or environment.get("OTEL_SERVICE_NAME") or attributes.get("service.name")
    return Origin(
        run=run_identity(run),
        service=named or program_name([str(word) for word in run.info.get("command", ())]),
        release=release or attributes.get("service.version") or "unknown",
        host=str(run.info.get("host") or "unknown"),
        started=[(process.path.name, process.started) for process in run.processes],
    )


def program_name(command: list[str]) -> str:
    """What a person calls the program: its script or module, else its first word.

    >>> program_name(["python", "-m", "shop.web"]), program_name(["python3.11", "-X", "dev", "/srv/app.py", "--x"])
    ('shop.web', 'app')
    >>> program_name(["gunicorn", "shop:app"])
    'gunicorn'
    """
    words = [str(masked_line(word)) for word in command]
    if not words:
        return "unknown"
    if not Path(words[0]).name.startswith("python"):
        return Path(words[0]).name
    if "-m" in words[1:-1]:
        return words[words.index("-m") + 1]
    script = next((word for word in words[1:] if word.endswith(".py")), words[0])
    return Path(script).stem or "unknown"
