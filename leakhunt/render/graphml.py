"""A reference graph as GraphML, for Gephi, yEd, networkx and others."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from leakhunt.findings import RefGraph
from leakhunt.render import words

NODE_FIELDS = {
    "type": "string", "count": "int", "size_bytes": "long", "retained_bytes": "long", "role": "string",
    "detail": "string",
}  # fmt: skip
EDGE_FIELDS = {"label": "string", "count": "int", "faulty": "boolean"}


def graphml(graph: RefGraph) -> bytes:
    """A directed graph; edges point from holder to held. What a node or an edge is, is in its data."""
    top = Element("graphml", xmlns="http://graphml.graphdrawing.org/xmlns")
    for domain, fields in (("node", NODE_FIELDS), ("edge", EDGE_FIELDS)):
        for name, kind in fields.items():
            SubElement(top, "key", {"id": f"{domain}.{name}", "for": domain, "attr.name": name, "attr.type": kind})
    inner = SubElement(top, "graph", id=words.printable(graph.title), edgedefault="directed")
    for node in graph.nodes:
        _data(SubElement(inner, "node", id=f"n{node.id}"), "node", node, NODE_FIELDS)
    for edge in graph.edges:
        made = SubElement(inner, "edge", source=f"n{edge.source}", target=f"n{edge.target}")
        _data(made, "edge", edge, EDGE_FIELDS)
    ElementTree.indent(top)
    found: bytes = ElementTree.tostring(top, encoding="utf-8", xml_declaration=True)
    return found


def _data(element: Element, domain: str, value: object, fields: dict[str, str]) -> None:
    for name, kind in fields.items():
        content = getattr(value, name)
        text = str(content).lower() if kind == "boolean" else words.printable(str(content))
        SubElement(element, "data", key=f"{domain}.{name}").text = text
