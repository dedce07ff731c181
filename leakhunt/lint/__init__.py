"""What the finalizer lens and the holders' rules would say, said of source code before it runs.

The code is parsed, never imported. A check speaks where the source leaves no doubt and keeps silent elsewhere; a line
that ends in `# leakhunt: ignore` is not spoken of.
"""

from __future__ import annotations

import ast
import json
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from leakhunt.errors import UsageError

from .finalizers import CHECKS as ON_FINALIZERS
from .holders import CHECKS as ON_HOLDERS
from .source import Diagnostic, Project, Source

SCHEMA = 1
IGNORE = "leakhunt: ignore"
CHECKS = (*ON_FINALIZERS, *ON_HOLDERS)
NOT_SOURCE = {"__pycache__", "node_modules", "site-packages"}


@dataclass(frozen=True)
class Unread:
    """A file that could not be read or parsed; `line` is 0 where none is to blame."""

    file: str
    line: int
    says: str


@dataclass(frozen=True)
class Report:
    """What was said of `files` files."""

    files: int
    remarks: tuple[Diagnostic, ...]
    unread: tuple[Unread, ...] = ()

    def to_text(self) -> str:
        """A paragraph for each remark, the files that could not be read, and the sum."""
        lines = [f"{r.file}:{r.line}: {r.says} [{r.rule}]\n    {r.advice}" for r in self.remarks]
        lines += [f"{u.file}:{u.line}: {u.says}" if u.line else f"{u.file}: {u.says}" for u in self.unread]
        found = _counted(len(self.remarks), "finding") if self.remarks else "Nothing found"
        return "\n".join([*lines, f"{found} in {_counted(self.files, 'file')}."])

    def to_json(self) -> str:
        """Keys: schema, files, findings (file, line, rule, says, advice) and unread (file, line, says)."""
        findings, unread = ([asdict(row) for row in rows] for rows in (self.remarks, self.unread))
        return json.dumps({"schema": SCHEMA, "files": self.files, "findings": findings, "unread": unread}, indent=1)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def lint(paths: Sequence[str | Path]) -> Report:
    """All remarks on the Python files at `paths`, folders with all that is below them, by file and line.

    Raises:
        UsageError: there is nothing at one of the paths.
    """
    files = list(dict.fromkeys(file for path in paths for file in python_files(Path(path))))
    read = [parsed(file) for file in files]
    project = Project([source for source in read if isinstance(source, Source)])
    unread = [problem for problem in read if isinstance(problem, Unread)]
    remarks: list[Diagnostic] = []
    for source in project.sources:
        try:
            found = {remark for check in CHECKS for remark in check(source, project)}
        except RecursionError:
            unread.append(Unread(source.file, 0, "it is nested too deep to be looked through."))
            continue
        remarks += [remark for remark in found if IGNORE not in source.line(remark.line)]
    remarks.sort(key=lambda remark: (remark.file, remark.line, remark.rule, remark.says))
    return Report(len(files), tuple(remarks), tuple(unread))


def python_files(path: Path) -> Iterator[Path]:
    """The file itself, or the `.py` files below a folder in order, without hidden folders and environments."""
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise UsageError(f"There is no file or folder {path}.", "Give the source files or folders to look through.")
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name not in NOT_SOURCE and not (Path(folder, name) / "pyvenv.cfg").exists()
        )
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


def parsed(file: Path) -> Source | Unread:
    """The source of a file, or why there is none."""
    try:
        text = file.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Source(str(file), text, ast.parse(text))
    except SyntaxError as problem:
        return Unread(str(file), problem.lineno or 0, f"this is not Python that can be parsed here ({problem.msg}).")
    except OSError as problem:
        return Unread(str(file), 0, f"it cannot be read ({problem.strerror}).")
    except (ValueError, RecursionError, MemoryError) as problem:
        return Unread(str(file), 0, f"it cannot be parsed ({str(problem) or type(problem).__name__}).")
