"""Who made and who keeps: the agent's stacks joined with the leaked objects, and what is said without them."""

from __future__ import annotations

from dataclasses import replace

from heap import Heap

from leakhunt.analysis.growth.evidence import Evidence
from leakhunt.analysis.report import suspects, to_findings
from leakhunt.analysis.report.origins import tree
from leakhunt.analysis.rules.detectors import judge
from leakhunt.births import Addition, Birth, Births, Frame, Stack, Watched
from leakhunt.findings import Finding

OPEN = Frame("/srv/shop.py", 27, "open_session", "program")
PEEK = Frame("/srv/shop.py", 40, "peek", "program")
MAIN = Frame("/srv/shop.py", 90, "main", "program")
SUBSCRIBE = Frame("/srv/bus.py", 18, "subscribe", "program")
LIBRARY = Frame("/x/site-packages/orm/engine.py", 5, "create", "library")
APPEND = Frame("/usr/lib/python3.12/queue.py", 9, "put", "stdlib")
SESSION, SESSIONS = 7001, 0


def leaking(kind: str = "shop.Session") -> Evidence:
    """module shop -> SESSIONS -> Session, ten more at each of twelve moments."""
    heap = Heap()
    sessions = heap.list()
    heap.module("shop", SESSIONS=sessions)
    return Evidence(heap.live(lambda k: [sessions.append(heap.instance(kind)) for _ in range(10)] and None, 12))


def addresses(evidence: Evidence, kind: str = "shop.Session") -> tuple[int, list[int]]:
    """(of the list, of the sessions in it) in the last graph."""
    graph, column = evidence.graph, evidence.graph.snapshot.column("object.address")
    [place] = evidence.places
    rows = [n for n in range(graph.count) if graph.type_name(n) == kind]
    return int(column[place.members[0]]), column[rows].tolist()


def told(evidence: Evidence, *answers: Births) -> Finding:
    seen = Evidence(evidence.snapshots, births=answers)
    return to_findings.finding(seen, judge(seen)[0], 7)


def born(where: list[int], stack: Stack, seconds: float = 1.0) -> tuple[Birth, ...]:
    return tuple(Birth(SESSION, address, seconds, stack) for address in where)


def answer(*births: Birth, **more: object) -> Births:
    classes = {SESSION: Watched("shop.Session", "alloc", len(births), "")}
    return replace(Births(1, classes=classes, births=births), **more)  # type: ignore[arg-type]


def test_only_births_of_what_stayed_count() -> None:
    """Most sessions are made by peek() and go; those that stay are made by open_session()."""
    evidence = leaking()
    _, sessions = addresses(evidence)
    stay = born(sessions[-6:], Stack((OPEN, MAIN)))
    go = born([(1 << 40) + n for n in range(9)], Stack((PEEK, MAIN)))
    made = told(evidence, answer(*go, *stay)).allocated_at
    assert made is not None
    assert (made.file, made.line, made.function) == ("/srv/shop.py", 27, "open_session")
    assert (made.count, made.of, made.share, made.stayed) == (6, 6, 1.0, True)
    assert made.stack == ("/srv/shop.py:27 in open_session", "/srv/shop.py:90 in main")


def test_a_birth_after_the_last_graph_is_not_taken_for_one_of_its_objects() -> None:
    evidence = leaking()
    _, sessions = addresses(evidence)
    made = told(evidence, answer(*born(sessions[-6:], Stack((OPEN,)), 1e6))).allocated_at
    assert made is not None
    assert not made.stayed


def test_without_any_that_stayed_all_births_are_told_and_it_says_so() -> None:
    made = told(leaking(), answer(*born([(1 << 40) + n for n in range(3)], Stack((PEEK, MAIN))))).allocated_at
    assert made is not None
    assert (made.function, made.stayed) == ("peek", False)


def test_what_was_put_in_itself_is_known_to_stay_without_a_later_graph() -> None:
    evidence = leaking()
    place, _ = addresses(evidence)
    births = (*born([1 << 41, 1 << 42], Stack((PEEK,)), 1e6), *born([1 << 40], Stack((OPEN,)), 1e6))
    added = Addition(place, 1 << 40, 0, 1e6, Stack((SUBSCRIBE,)))
    made = told(evidence, answer(*births, additions=(added,))).allocated_at
    assert made is not None
    assert (made.function, made.of, made.stayed) == ("open_session", 1, True)


def test_of_many_births_of_which_none_stayed_nobody_is_named() -> None:
    """What leaks is made elsewhere, and was not among those that were seen."""
    finding = told(leaking(), answer(*born([(1 << 40) + n for n in range(40)], Stack((PEEK, MAIN)))))
    assert finding.allocated_at is None
    assert finding.unseen == ("made at: none of 40 that were seen to be made is among what leaks",)


def test_two_makers_have_their_shares() -> None:
    evidence = leaking()
    _, sessions = addresses(evidence)
    births = (*born(sessions[-9:], Stack((OPEN, MAIN))), *born(sessions[-20:-17], Stack((PEEK, MAIN))))
    made = told(evidence, answer(*births)).allocated_at
    assert made is not None
    assert (made.function, made.count, made.of, made.share) == ("open_session", 9, 12, 0.75)
    assert [(root.function, root.count) for root in made.tree] == [("open_session", 9), ("peek", 3)]
    assert [caller.function for caller in made.tree[0].callers] == ["main"]


def test_fifty_are_told_of_more() -> None:
    evidence = leaking()
    _, sessions = addresses(evidence)
    made = told(evidence, answer(*born(sessions[-70:], Stack((OPEN,))))).allocated_at
    assert made is not None
    assert made.of == 50


def test_who_uses_a_library_makes_its_objects_and_not_the_library() -> None:
    evidence = leaking("orm.Engine")
    _, engines = addresses(evidence, "orm.Engine")
    births = born(engines[-5:], Stack((LIBRARY, OPEN, MAIN)))
    made = told(evidence, answer(*births, classes={SESSION: Watched("orm.Engine", "alloc", 5, "")})).allocated_at
    assert made is not None
    assert made.function == "open_session"


def test_a_library_makes_objects_of_others() -> None:
    evidence = leaking()
    _, sessions = addresses(evidence)
    made = told(evidence, answer(*born(sessions[-5:], Stack((LIBRARY, OPEN, MAIN))))).allocated_at
    assert made is not None
    assert made.function == "create"


def test_who_adds_is_the_innermost_frame_outside_of_the_standard_library() -> None:
    evidence = leaking()
    place, sessions = addresses(evidence)
    stack = Stack((APPEND, SUBSCRIBE, MAIN))
    additions = tuple(Addition(place, address, 0, 1.0, stack) for address in sessions[-5:])
    elsewhere = Addition(place + 1, 5, 0, 1.0, Stack((PEEK,)))
    added = told(evidence, answer(additions=(*additions, elsewhere))).added_at
    assert added is not None
    assert (added.file, added.line, added.function, added.of) == ("/srv/bus.py", 18, "subscribe", 5)


def test_what_could_not_be_seen_is_said_with_the_reason() -> None:
    evidence = leaking()
    place, _ = addresses(evidence)
    classes = {SESSION: Watched("shop.Session", "-", 0, "the C library is not used here: not wanted")}
    seen = answer(classes=classes, places={place: Watched("", "lengths", 0, "")})
    finding = told(evidence, seen)
    assert finding.allocated_at is None
    assert finding.unseen == (
        "made at: the C library is not used here: not wanted",
        "put in at: nothing was put in while it was watched",
    )


def test_where_nothing_was_asked_nothing_is_said() -> None:
    finding = told(leaking())
    assert (finding.allocated_at, finding.added_at, finding.unseen) == (None, None, ())


def test_who_awaits_a_task_is_told_beside_its_stack() -> None:
    evidence = leaking()
    _, sessions = addresses(evidence)
    made = told(evidence, answer(*born(sessions[-5:], Stack((OPEN,), (MAIN,))))).allocated_at
    assert made is not None
    assert made.awaited_by == ("/srv/shop.py:90 in main",)


def test_a_tree_puts_common_beginnings_together_the_numerous_first() -> None:
    a, b, c = (Frame("f.py", n, name, "program") for n, name in enumerate("abc", 1))
    found = tree([(a, b), (a, c), (a, c), (b,)])
    assert [(root.function, root.count) for root in found] == [("a", 3), ("b", 1)]
    assert [(caller.function, caller.count) for caller in found[0].callers] == [("c", 2), ("b", 1)]


def test_the_suspect_s_class_and_place_are_asked_for_with_the_way_there() -> None:
    evidence = leaking()
    place, _ = addresses(evidence)
    question = suspects.question(evidence, judge(evidence))
    assert "shop.Session" in question.classes.values()
    assert place in question.places
    assert ("attribute", "SESSIONS") in question.names


def test_what_is_known_is_not_asked_again() -> None:
    evidence = leaking()
    place, sessions = addresses(evidence)
    additions = tuple(Addition(place, address, 0, 1.0, Stack((SUBSCRIBE,))) for address in sessions[-20:])
    seen = answer(*born(sessions[-20:], Stack((OPEN,))), additions=additions)
    known = Evidence(evidence.snapshots, births=[seen])
    assert not suspects.question(known, judge(known))
