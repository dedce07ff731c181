"""How a person would find a place in the source."""

from __future__ import annotations

import pytest
from heap import Heap, Thing

from leakhunt.analysis.heap.graph import HeapGraph
from leakhunt.analysis.heap.naming import Names

from .test_graph import index_of


def owners(heap: Heap, thing: Thing) -> list[str]:
    graph = HeapGraph(heap.snapshot())
    return Names(graph).owners(index_of(graph, thing))


def path(heap: Heap, thing: Thing) -> tuple[str, ...]:
    graph = HeapGraph(heap.snapshot())
    return Names(graph).path(index_of(graph, thing))


def chain(heap: Heap, thing: Thing, tail: str = "") -> list[tuple[str, str, str, str | None]]:
    graph = HeapGraph(heap.snapshot())
    links = Names(graph).chain(index_of(graph, thing), tail).links
    return [(link.kind, link.label, link.type, link.finalizer) for link in links]


@pytest.fixture
def heap() -> Heap:
    return Heap()


def test_a_global_is_named_by_its_module(heap: Heap) -> None:
    # module shop -> ORDERS
    orders = heap.list()
    heap.module("shop", ORDERS=orders)
    assert owners(heap, orders) == ["shop.ORDERS"]
    assert path(heap, orders) == ("module shop", ".ORDERS", "[*]")


@pytest.mark.parametrize("separate_dict", [False, True], ids=["inline", "__dict__"])
def test_an_attribute_is_named_by_its_class_then_by_the_way_to_it(heap: Heap, separate_dict: bool) -> None:
    # module shop -> SESSION -> Session .jar -> Jar ._cookies -> dict
    cookies = heap.dict()
    jar = heap.instance("web.Jar", separate_dict=separate_dict, _cookies=cookies)
    heap.module("shop", SESSION=heap.instance("web.Session", separate_dict=separate_dict, jar=jar))
    assert owners(heap, cookies) == ["web.Jar._cookies", "web.Session.jar._cookies", "shop.SESSION.jar._cookies"]
    assert path(heap, cookies) == ("module shop", ".SESSION", "web.Session", ".jar", "web.Jar", "._cookies", "[*]")


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("_thread._local", ["shop.LOCAL.orders"]),
        ("shop.Context", ["shop.Context.orders", "shop.LOCAL.orders"]),
    ],
)
def test_an_attribute_of_a_thread_local_is_named_by_its_class_or_else_by_the_way(
    heap: Heap, kind: str, named: list[str]
) -> None:
    # module shop -> LOCAL -> _thread._local -> __dict__, by thread -> __dict__ .orders -> list
    orders = heap.list()
    heap.module("shop", LOCAL=heap.thread_local(kind, orders=orders))
    assert owners(heap, orders) == named
    assert path(heap, orders)[:2] == ("module shop", ".LOCAL")


@pytest.mark.parametrize("separate_dict", [False, True], ids=["inline", "__dict__"])
def test_an_attribute_of_a_namespace_object_is_named_by_the_way_to_it(heap: Heap, separate_dict: bool) -> None:
    # module shop -> STATE -> SimpleNamespace .orders -> list
    orders = heap.list()
    state = heap.instance("types.SimpleNamespace", separate_dict=separate_dict, orders=orders)
    heap.module("shop", STATE=state)
    assert owners(heap, orders) == ["shop.STATE.orders"]


def test_an_attribute_of_a_namespace_object_that_nothing_names_has_its_class(heap: Heap) -> None:
    # C -> SimpleNamespace .orders -> list
    orders = heap.list()
    heap.hold_by_c(heap.instance("types.SimpleNamespace", orders=orders))
    assert owners(heap, orders) == ["types.SimpleNamespace.orders"]


def test_an_attribute_of_a_class_is_named_by_the_class_itself(heap: Heap) -> None:
    # module shop -> Plugin (class) .registry -> list
    registry = heap.list()
    heap.module("shop", Plugin=heap.class_("shop.Plugin", "shop.py", 3, registry=registry))
    assert owners(heap, registry)[0] == "shop.Plugin.registry"


def test_a_closure_variable_is_named_by_its_function(heap: Heap) -> None:
    # module shop -> add -> (closure) -> cell seen -> list
    seen = heap.list()
    heap.module("shop", add=heap.function("shop.make.<locals>.add", "shop.py", 4, closure={"seen": seen}))
    assert owners(heap, seen)[0] == "shop.make.<locals>.add.<seen>"
    assert path(heap, seen) == ("module shop", ".add", "<variable seen>", "[*]")


def test_a_default_argument_is_named_by_its_function(heap: Heap) -> None:
    # module shop -> track -> (defaults) -> tuple -> list
    seen = heap.list()
    track = heap.function("shop.track", "shop.py", 4, defaults={"limit": 3, "seen": seen})
    heap.module("shop", track=track)
    assert owners(heap, seen) == ["shop.track.<seen>"]
    assert path(heap, seen) == ("module shop", ".track", "<variable seen>", "[*]")


def test_what_a_local_variable_and_an_attribute_refer_to_is_named_by_the_attribute(heap: Heap) -> None:
    # frame work @queue -> list   and   module shop -> POOL -> Pool .queue -> list
    queue = heap.list()
    heap.frame("shop.work", "Thread-1", queue=queue)
    heap.module("shop", POOL=heap.instance("shop.Pool", pending=queue))
    assert owners(heap, queue)[:2] == ["shop.Pool.pending", "shop.work.<queue>"]


def test_a_local_variable_is_named_by_its_function_without_the_thread(heap: Heap) -> None:
    # frame shop.main -> <history>
    history = heap.list()
    heap.frame("shop.main", history=history)
    assert owners(heap, history) == ["shop.main.<history>"]
    assert path(heap, history) == ("frame shop.main (MainThread)", "<local history>", "[*]")


def test_what_a_suspended_coroutine_holds_is_named_by_its_function(heap: Heap) -> None:
    # module shop -> TASKS -> coroutine -> list
    seen = heap.list()
    heap.module("shop", TASKS=heap.list([heap.coroutine("shop.stream", "shop.py", 3, seen=seen)]))
    assert owners(heap, seen)[0].startswith("shop.stream")


def test_a_container_in_a_container_has_the_name_of_the_outer_one(heap: Heap) -> None:
    # module shop -> BY_USER -> list -> deque
    inner = heap.deque()
    heap.module("shop", BY_USER=heap.dict({"anna": heap.list([inner])}))
    assert owners(heap, inner) == ["shop.BY_USER"]


def test_the_dict_of_a_cache_is_named_by_the_function(heap: Heap) -> None:
    # module shop -> price (lru_cache) -> dict
    cache = heap.lru_cache(None)
    heap.module("shop", price=cache)
    assert owners(heap, cache) == ["shop.price"]
    assert owners(heap, cache._table) == ["shop.price"]


def test_a_table_of_the_interpreter_has_its_own_name(heap: Heap) -> None:
    assert owners(heap, heap.garbage) == ["gc.garbage"]
    legacy = heap.list()
    heap.garbage.append(legacy)
    assert owners(heap, legacy) == ["gc.garbage"]
    assert path(heap, legacy)[0] == "gc.garbage"


def test_what_c_code_holds_is_said_to_be_held_outside(heap: Heap) -> None:
    # C -> Pool .free -> list
    free = heap.list()
    heap.hold_by_c(heap.instance("ext.Pool", free=free))
    assert owners(heap, free) == ["ext.Pool.free"]
    assert path(heap, free)[0] == "held outside the Python heap"


def test_an_attribute_without_a_label_is_still_one_of_its_class(heap: Heap) -> None:
    items = heap.list()
    store = heap.instance("shop.Store")
    store._others = [(items, "")]
    heap.module("shop", STORE=store)
    assert owners(heap, items) == ["shop.Store.<attribute>"]


def test_of_several_ways_the_shortest_names_the_place(heap: Heap) -> None:
    # module shop -> APP .db -> Db .pool -> list;  module shop -> POOL -> the same list
    pool = heap.list()
    heap.module("shop", APP=heap.instance("shop.App", db=heap.instance("shop.Db", pool=pool)), POOL=pool)
    assert owners(heap, pool) == ["shop.POOL"]


def test_a_chain_leaves_out_namespaces_and_cells_and_marks_finalizers(heap: Heap) -> None:
    # module shop -> STORE -> Store .connections -> dict -> Connection
    heap.type("shop.Store", del_at="shop.py:7")
    connections = heap.dict()
    heap.module("shop", STORE=heap.instance("shop.Store", separate_dict=True, connections=connections))
    assert chain(heap, connections, "shop.Connection") == [
        ("root", "module shop", "builtins.module", None),
        ("attribute", ".STORE", "shop.Store", "shop.py:7"),
        ("attribute", ".connections", "builtins.dict", None),
        ("item", "[*]", "shop.Connection", None),
    ]


def test_a_chain_through_a_closure_names_the_variable(heap: Heap) -> None:
    order = heap.instance("shop.Order")
    heap.module("shop", done=heap.function("shop.done", closure={"order": heap.list([order])}))
    labels = [(kind, label) for kind, label, _, _ in chain(heap, order)]
    assert ("closure", "<variable order>") in labels
    assert labels[-1] == ("item", "[*]")


def test_a_cell_that_has_no_name_is_no_stop_on_a_chain(heap: Heap) -> None:
    # module shop -> CELLS -> list -> cell -> Order
    order, cell = heap.instance("shop.Order"), heap.instance("builtins.cell")
    cell._others = [(order, "")]
    heap.module("shop", CELLS=heap.list([cell]))
    assert [(label, name) for _, label, name, _ in chain(heap, order)] == [
        ("module shop", "builtins.module"),
        (".CELLS", "builtins.list"),
        ("", "shop.Order"),
    ]


def test_the_owner_object_is_the_one_whose_attribute_leads_there(heap: Heap) -> None:
    visits = heap.list()
    user = heap.instance("shop.User", separate_dict=True, visits=visits)
    heap.module("shop", USERS=heap.list([user]))
    graph = HeapGraph(heap.snapshot())
    assert Names(graph).owner_index(index_of(graph, visits)) == index_of(graph, user)


def test_an_endless_list_of_nodes_has_an_end_in_its_chain(heap: Heap) -> None:
    head = node = heap.instance("shop.Node")
    for _ in range(500):
        node.next = heap.instance("shop.Node")
        node = node.next
    heap.module("shop", HEAD=head)
    assert len(chain(heap, node)) < 100


def test_what_functools_wraps_copied_to_a_wrapper_is_named_by_the_object_that_it_wraps(heap: Heap) -> None:
    # module shop -> app -> handler_wrapper .__dict__ .peers -> list <- .peers Tracker <- .__wrapped__
    peers = heap.list()
    tracker = heap.instance("shop.Tracker", separate_dict=True, peers=peers)
    wrapper = heap.function("web.Route.__init__.<locals>.handler_wrapper", "web.py", 4)
    wrapper.peers, wrapper.__wrapped__ = peers, tracker
    heap.module("shop", app=wrapper)
    assert owners(heap, peers)[0] == "shop.Tracker.peers"


def test_an_attribute_of_a_function_alone_is_named_by_the_function(heap: Heap) -> None:
    seen = heap.list()
    view = heap.function("shop.view", "shop.py", 4)
    view.seen = seen
    heap.module("shop", view=view)
    assert owners(heap, seen)[0] == "shop.view.seen"
