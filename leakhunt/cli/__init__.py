"""The command line: arguments to a library call to output.

A command is a module with one click command, and one line in `COMMANDS`. Modules are imported when their command is
asked for, and what is heavy (numpy, matplotlib, the analysis) inside the command, so that help and launching are fast.
"""

from __future__ import annotations

import signal
import sys

# Name -> module:attribute, in the order in which help lists them.
COMMANDS = {
    "run": "leakhunt.cli.run:run",
    "attach": "leakhunt.cli.attach:attach",
    "snapshot": "leakhunt.cli.attach:snapshot",
    "detach": "leakhunt.cli.attach:detach",
    "live": "leakhunt.cli.live:live",
    "report": "leakhunt.cli.report:report",
    "compare": "leakhunt.cli.compare:compare",
    "advise": "leakhunt.cli.advise:advise",
    "bisect": "leakhunt.cli.bisect:bisect",
    "diff": "leakhunt.cli.diff:diff",
    "chains": "leakhunt.cli.chains:chains",
    "backrefs": "leakhunt.cli.backrefs:backrefs",
    "plot": "leakhunt.cli.plot:plot",
    "export": "leakhunt.cli.export:export",
    "query": "leakhunt.cli.query:query",
    "fleet": "leakhunt.cli.fleet:fleet",
    "mcp": "leakhunt.cli.mcp:mcp",
    "lint": "leakhunt.cli.lint:lint",
    "doctor": "leakhunt.cli.doctor:doctor",
}


def main() -> None:
    """The `leakhunt` command. Ctrl-C while modules load ends it without a traceback, as it does later."""
    on_interrupt = signal.getsignal(signal.SIGINT)
    if callable(on_interrupt):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from leakhunt.cli.app import invoke

    if callable(on_interrupt):
        signal.signal(signal.SIGINT, on_interrupt)
    sys.exit(invoke(sys.argv[1:]))
