"""Write the modules' tables in docs/architecture.md: `python docs/make_architecture.py`.

Each module with its docstring's first line, and what its part may import, by the table of tests/test_architecture.py.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "leakhunt"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- modules: made by docs/make_architecture.py -->\n", "<!-- end of modules -->\n"
ORDER = (
    "agent", "attach", "", "analysis", "analysis/heap", "analysis/growth", "analysis/rules", "analysis/report",
    "monitor", "render", "export", "lint", "tui", "cli",
)  # fmt: skip
HEADS = {"": "The top level", "agent": "agent: runs inside the target"}
sys.path.insert(0, str(ROOT / "tests"))


def modules() -> str:
    """A table for each folder; one that is not in ORDER comes last."""
    found: dict[str, list[Path]] = {}
    for file in sorted(HOUSE.rglob("*.py")):
        if "__pycache__" not in file.parts:
            found.setdefault(str(file.parent.relative_to(HOUSE)).removeprefix("."), []).append(file)
    folders = [*(name for name in ORDER if name in found), *sorted(found.keys() - set(ORDER))]
    return "\n".join(_folder(name, found[name]) for name in folders)


def _folder(name: str, files: list[Path]) -> str:
    from test_architecture import FRONT, MAY

    head = [f"### {HEADS.get(name, name)}", ""]
    init = next((file for file in files if file.name == "__init__.py"), None)
    if init is not None and name:
        head += [_first_line(init), ""]
    part = name.partition("/")[0]
    if part in MAY and "/" not in name:
        head += [_imports(*MAY[part]), ""]
    elif part in FRONT:
        head += ["May import everything behind it.", ""]
    rows = []
    for file in files:
        if file.name in ("__init__.py", "__main__.py"):
            continue
        inside = "" if name or file.stem not in MAY else _imports(*MAY[file.stem])
        rows.append(f"| `{file.stem}` | {_first_line(file)}{' ' + inside if inside else ''} |")
    return "\n".join([*head, "| module | what it is for |", "|---|---|", *rows, ""])


def _imports(parts: set[str], packages: set[str]) -> str:
    names = [*sorted(parts), *sorted(packages)]
    return f"*Imports {', '.join(names)}.*" if names else "*Imports nothing of leakhunt.*"


def _first_line(file: Path) -> str:
    text = ast.get_docstring(ast.parse(file.read_bytes())) or ""
    return text.split("\n\n")[0].replace("\n", " ").replace("|", "\\|").replace("<", "&lt;")


def page(text: str) -> str:
    """The page with its tables made anew."""
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    return head + BEGIN + "\n" + modules() + "\n" + END + tail


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
