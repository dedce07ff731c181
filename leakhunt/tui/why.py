"""Why something that grows is alive, in words: what Enter on a row of the view shows."""

from __future__ import annotations

from dataclasses import dataclass

from leakhunt import births
from leakhunt.analysis.report import origins
from leakhunt.errors import LeakhuntError
from leakhunt.render import units, words
from leakhunt.render.trees import chain_trees

from .follow import WatchedProcess, WatchedRun
from .rows import Row

# The agent's reason for leaving a graph out -> the same in words.
REFUSED = {
    "budget": "to keep to --budget",
    "pause": "because it would have stopped the program for longer than --pause",
    "sub-interpreters": "because the process had sub-interpreters, whose stacks can't be read without harm",
    "memory": "because it would have taken more than half of the memory that was left",
}


@dataclass(frozen=True)
class Why:
    """A heading, the retaining chains or the reason why there are none, and what to do next."""

    title: str
    text: str
    hint: str = ""


def why(run: WatchedRun, process: WatchedProcess, row: Row, width: int) -> Why:
    """The retaining chains of a row's objects, by the newest graph that there is."""
    what = words.name(row.name or row.type)
    title = f"What keeps {what} alive"
    if process.deep is None:
        return Why(title, _no_graph_yet(run, process))
    seen = f"{title}: the whole graph of {units.duration(process.deep.seconds)} into the run"
    try:
        found = process.deep.chain_to(row.address, row.type) if row.address else process.deep.chains(row.type)
    except LeakhuntError as problem:
        return Why(seen, words.sentence(problem.message), "Look again when there is a newer graph.")
    if row.address and not found:
        return Why(seen, "This container was not there yet.", "Look again when there is a newer graph.")
    text = chain_trees(found, width=width) + _origins(process, row)
    return Why(seen, text, "" if row.address else _next_command(process, row))


def _origins(process: WatchedProcess, row: Row) -> str:
    """Who makes the objects of the row, or puts something into it, as far as the agent saw that."""
    answers = [one for path in process.folder.births if (one := births.load(path)) is not None]
    if row.address:
        what, origin = "put in at", origins.of_container(answers, row.address)
    else:
        what, origin = "made at", origins.of_class(answers, row.type)
    if origin is None:
        return ""
    lines = [f"{what} {words.origin(origin)}", *(f"{'  ' * depth}{text}" for depth, text in words.callers(origin))]
    return "\n" + "\n".join(lines) + "\n"


def _next_command(process: WatchedProcess, row: Row) -> str:
    """What draws the same as a picture, of this process among those of its run."""
    return f"leakhunt backrefs {words.quote(str(process.folder.path))} --type {words.quote(row.type)} -o graph.svg"


def _no_graph_yet(run: WatchedRun, process: WatchedProcess) -> str:
    """What to say where no snapshot holds the whole graph."""
    if run.folder.info.get("options", {}).get("deep") == "never":
        return "No chain can be shown: this run takes no snapshot of the whole object graph (--deep never)."
    if process.graph_refused:
        why_not = REFUSED.get(process.graph_refused, process.graph_refused)
        return f"No chain can be shown yet: the snapshot of the whole object graph that was due was left out {why_not}."
    return (
        "No chain can be shown yet: no snapshot of the whole object graph has been taken. The first comes after one "
        "interval and a half, the next at growing distances."
    )
