"""Each check speaks of the code that has the fault, and not of its repaired twin."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from leakhunt.cli.app import invoke
from leakhunt.cli.lint import lint as command
from leakhunt.errors import UsageError
from leakhunt.lint import Report, lint

SAMPLE_APPS = Path(__file__).parent.parent / "sample_apps"

# name -> (rule, line that is spoken of, the faulty code, the repaired twin)
CASES = {
    "a finalizer appends self to a pool it was given": (
        "del-resurrects", "self.pool.idle.append(self)",
        """
        class Channel:
            def __init__(self, pool):
                self.pool = pool
            def __del__(self):
                self.pool.idle.append(self)
        """,
        """
        class Channel:
            def __init__(self, pool):
                self.pool = pool
            def close(self):
                self.pool.idle.append(self)
            def __del__(self):
                self.pool.count -= 1
        """,
    ),
    "a finalizer stores a bound method in a table of the module": (
        "del-resurrects", "LATER[id(self)] = self.close",
        """
        LATER = {}
        class File:
            def close(self): ...
            def __del__(self):
                LATER[id(self)] = self.close
        """,
        """
        LATER = {}
        class File:
            def close(self): ...
            def __del__(self):
                LATER[id(self)] = self.path
        """,
    ),
    "a finalizer makes self global": (
        "del-resurrects", "last = self",
        """
        class Phoenix:
            def __del__(self):
                global last
                last = self
        """,
        """
        class Phoenix:
            def __del__(self):
                last = self
        """,
    ),
    "a finalizer appends self by an alias to a list of the class": (
        "del-resurrects", "spare.append((1, self))",
        """
        class Part:
            spare = []
            def __del__(self):
                spare = Part.spare
                spare.append((1, self))
        """,
        """
        import weakref
        class Part:
            spare = weakref.WeakSet()
            def __del__(self):
                own = []
                own.append((1, self))
                Part.spare.add(self)
        """,
    ),
    "a finalizer says goodbye by the network": (
        "del-works", "self.session.post('/bye')",
        """
        import requests
        class Client:
            def __init__(self):
                self.session = requests.Session()
            def __del__(self):
                self.session.post('/bye')
        """,
        """
        import requests
        class Client:
            def __init__(self):
                self.session = requests.Session()
            def __exit__(self, *details):
                self.session.post('/bye')
            def __del__(self):
                self.session.close()
        """,
    ),
    "a finalizer logs, in a method that it calls": (
        "del-works", "self.close()",
        """
        import logging
        log = logging.getLogger(__name__)
        class Connection:
            def close(self):
                log.info("closed")
            def __del__(self):
                self.close()
        """,
        """
        import logging, warnings
        log = logging.getLogger(__name__)
        class Connection:
            def close(self):
                log.info("closed")
            def __del__(self):
                warnings.warn("unclosed", ResourceWarning, source=self)
        """,
    ),
    "a finalizer removes a file": (
        "del-works", "os.unlink(self.path)",
        """
        import os
        class Temporary:
            def __del__(self):
                os.unlink(self.path)
        """,
        """
        import os, weakref
        class Temporary:
            def __init__(self, path):
                self.path = path
                weakref.finalize(self, os.unlink, path)
        """,
    ),
    "a finalizer runs a program": (
        "del-works", "subprocess.run(['umount', self.path])",
        """
        import subprocess
        class Mount:
            def __del__(self):
                subprocess.run(['umount', self.path])
        """,
        """
        import subprocess
        class Mount:
            def __init__(self):
                self.process = subprocess.Popen(['mount'])
            def __del__(self):
                self.process.kill()
        """,
    ),
    "a finalizer makes a task": (
        "del-works", "asyncio.create_task(self.aclose())",
        """
        import asyncio
        class Stream:
            async def aclose(self): ...
            def __del__(self):
                asyncio.create_task(self.aclose())
        """,
        """
        import asyncio
        class Stream:
            async def aclose(self): ...
            async def __aexit__(self, *details):
                await asyncio.create_task(self.aclose())
        """,
    ),
    "what a finalizable makes keeps it": (
        "del-in-cycle", "self.cursor = Cursor(self)",
        """
        class Cursor:
            def __init__(self, connection):
                self.connection = connection
        class Connection:
            def __init__(self):
                self.cursor = Cursor(self)
            def __del__(self): ...
        """,
        """
        import weakref
        class Cursor:
            def __init__(self, connection):
                self.connection = weakref.ref(connection)
        class Connection:
            def __init__(self):
                self.cursor = Cursor(self)
            def __del__(self): ...
        """,
    ),
    "a child gets its parent, and nobody lets go": (
        "del-in-cycle", "child.parent = self",
        """
        class Node:
            def __init__(self):
                self.children = []
            def adopt(self, child):
                child.parent = self
                self.children.append(child)
            def __del__(self): ...
        """,
        """
        class Node:
            def __init__(self):
                self.children = []
            def adopt(self, child):
                child.parent = self
                self.children.append(child)
            def close(self):
                self.children.clear()
            def __del__(self): ...
        """,
    ),
    "self.child.parent = self": (
        "del-in-cycle", "self.child.parent = self",
        """
        class Child: ...
        class Node:
            def __init__(self):
                self.child = Child()
                self.child.parent = self
            def __del__(self): ...
        """,
        """
        class Child: ...
        class Node:
            def __init__(self):
                self.child = Child()
                self.child.parent = self
        """,
    ),
    "a finalizable keeps its own bound method": (
        "del-in-cycle", "self.handler = self.handle",
        """
        class Server:
            def __init__(self):
                self.handler = self.handle
            def handle(self): ...
            def __del__(self): ...
        """,
        """
        class Server:
            def __init__(self):
                self.handler = self.handle
            def handle(self): ...
            def close(self):
                del self.handler
            def __del__(self): ...
        """,
    ),
    "a finalizer raises": (
        "del-raises", "raise RuntimeError('not closed')",
        """
        class File:
            def __del__(self):
                raise RuntimeError('not closed')
        """,
        """
        class File:
            def __del__(self):
                try:
                    raise RuntimeError('not closed')
                except RuntimeError:
                    pass
        """,
    ),
    "a finalizer is a coroutine": (
        "del-never-runs", "async def __del__(self):",
        """
        class Stream:
            async def __del__(self):
                await self.aclose()
        """,
        """
        class Stream:
            async def __aexit__(self, *details):
                await self.aclose()
        """,
    ),
    "a method is cached": (
        "cached-method", "@lru_cache(maxsize=None)",
        """
        from functools import lru_cache
        class Session:
            @lru_cache(maxsize=None)
            def quote(self, number): ...
        """,
        """
        from functools import cached_property, lru_cache
        class Session:
            @cached_property
            def quotes(self): ...
            @staticmethod
            @lru_cache(maxsize=None)
            def quote(number): ...
        """,
    ),
    "a cache on a method of values": (
        "cached-method", "@functools.cache",
        """
        import functools
        class Color:
            def __hash__(self): ...
            @functools.cache
            def mixed(self, other): ...
        """,
        """
        import functools
        class Color:
            def __hash__(self): ...
            @functools.lru_cache(256)
            def mixed(self, other): ...
        """,
    ),
    "a ContextVar for each request": (
        "contextvar-per-call", "user = contextvars.ContextVar('user')",
        """
        import contextvars
        def handle(request):
            user = contextvars.ContextVar('user')
            user.set(request.user)
        """,
        """
        import contextvars
        user = contextvars.ContextVar('user')
        def handle(request):
            user.set(request.user)
        """,
    ),
    "a bound method at exit": (
        "atexit-method", "atexit.register(self.close)",
        """
        import atexit
        class Workspace:
            def __init__(self):
                atexit.register(self.close)
            def close(self): ...
        """,
        """
        import atexit
        class Workspace:
            def __init__(self):
                atexit.register(self.close)
            def close(self):
                atexit.unregister(self.close)
        """,
    ),
    "a closure at exit": (
        "atexit-method", "atexit.register(lambda: self.close())",
        """
        import atexit
        class Workspace:
            def __init__(self):
                atexit.register(lambda: self.close())
        """,
        """
        import weakref
        class Workspace:
            def __init__(self):
                weakref.finalize(self, print, "closed")
        """,
    ),
    "one workspace for the whole program": (
        "atexit-method", "atexit.register(self.close)",
        """
        import atexit
        class Workspace:
            def __init__(self):
                atexit.register(self.close)
        def open_workspace():
            return Workspace()
        """,
        """
        import atexit
        class Workspace:
            def __init__(self):
                atexit.register(self.close)
        WORKSPACE = Workspace()
        """,
    ),
    "a list of all instances": (
        "growing-registry", "Plugin.all.append(self)",
        """
        class Plugin:
            all = []
            def __init__(self):
                Plugin.all.append(self)
        """,
        """
        class Plugin:
            all = []
            def __init__(self):
                Plugin.all.append(self)
            def close(self):
                Plugin.all.remove(self)
        """,
    ),
    "a table of all instances in the module": (
        "growing-registry", "SESSIONS[id(self)] = self",
        """
        SESSIONS = {}
        class Session:
            def __init__(self):
                SESSIONS[id(self)] = self
        """,
        """
        import weakref
        SESSIONS = weakref.WeakValueDictionary()
        class Session:
            def __init__(self):
                SESSIONS[id(self)] = self
        """,
    ),
    "a thread for ever": (
        "endless-thread", "self.thread = threading.Thread(target=self.loop)",
        """
        import threading
        class Poller:
            def __init__(self):
                self.thread = threading.Thread(target=self.loop)
                self.thread.start()
            def loop(self):
                while True:
                    self.poll()
        """,
        """
        import threading
        class Poller:
            def __init__(self):
                self.thread = threading.Thread(target=self.loop)
                self.thread.start()
            def loop(self):
                while not self.stopped.wait(1):
                    self.poll()
        """,
    ),
}  # fmt: skip


def looked_at(folder: Path, code: str) -> Report:
    (folder / "app.py").write_text(textwrap.dedent(code))
    return lint([folder / "app.py"])


@pytest.mark.parametrize(("rule", "line", "faulty", "fixed"), CASES.values(), ids=CASES)
def test_the_fault_is_named_with_its_line_and_the_repaired_twin_is_not(
    tmp_path: Path, rule: str, line: str, faulty: str, fixed: str
) -> None:
    (remark,) = looked_at(tmp_path, faulty).remarks
    assert remark.rule == rule
    assert line in textwrap.dedent(faulty).splitlines()[remark.line - 1]
    assert remark.says.endswith(".") and remark.advice
    assert looked_at(tmp_path, fixed).remarks == ()


def test_asynchronous_work_is_told_of_async_with(tmp_path: Path) -> None:
    (remark,) = looked_at(tmp_path, CASES["a finalizer makes a task"][2]).remarks
    assert "async with" in remark.advice


def test_a_registry_that_another_file_empties_is_none(tmp_path: Path) -> None:
    (tmp_path / "sessions.py").write_text(textwrap.dedent(CASES["a table of all instances in the module"][2]))
    (tmp_path / "sweeper.py").write_text("import sessions\ndef sweep(key): sessions.SESSIONS.pop(key)\n")
    assert lint([tmp_path]).remarks == ()
    assert len(lint([tmp_path / "sessions.py"]).remarks) == 1


def test_a_line_can_be_taken_out(tmp_path: Path) -> None:
    code = CASES["a list of all instances"][2].replace("append(self)", "append(self)  # leakhunt: ignore")
    assert looked_at(tmp_path, code).remarks == ()


def test_the_sample_apps_are_told_from_their_twins() -> None:
    found = {Path(r.file).name: r.rule for r in lint([SAMPLE_APPS]).remarks}
    assert found == {
        "cached_method.py": "cached-method",
        "finalizer_cycle.py": "del-in-cycle",
        "resurrecting_pool.py": "del-resurrects",
    }


def test_the_code_is_never_run(tmp_path: Path) -> None:
    looked_at(tmp_path, f"open({str(tmp_path / 'trace')!r}, 'w')")
    assert not (tmp_path / "trace").exists()


def test_what_cannot_be_parsed_is_said_in_a_sentence_and_the_rest_is_looked_through(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "null.py").write_bytes(b"x = 1\0")
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9'\n")
    (tmp_path / "fine.py").write_text(textwrap.dedent(CASES["a finalizer raises"][2]))
    report = lint([tmp_path])
    assert [Path(u.file).name for u in report.unread] == ["broken.py", "latin.py", "null.py"]
    assert [Path(r.file).name for r in report.remarks] == ["fine.py"]
    assert "broken.py:1: this is not Python" in report.to_text()


def test_hidden_folders_and_environments_are_left_out(tmp_path: Path) -> None:
    for folder in (".git", "env", "src"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "app.py").write_text("")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    assert lint([tmp_path]).files == 1


def test_a_path_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        lint([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["bad.py"], 0), (["bad.py", "--fail-on-finding"], 1), (["good.py", "--fail-on-finding"], 0), (["none.py"], 2),
     ([], 2), (["broken.py"], 3), (["good.py", "--format", "html"], 2)],
)  # fmt: skip
def test_the_exit_status_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int
) -> None:
    (tmp_path / "bad.py").write_text(textwrap.dedent(CASES["a finalizer raises"][2]))
    (tmp_path / "good.py").write_text(textwrap.dedent(CASES["a finalizer raises"][3]))
    (tmp_path / "broken.py").write_text("def f(:\n")
    monkeypatch.chdir(tmp_path)
    assert invoke(["lint", *arguments]) == status


def test_json_says_what_text_says(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(textwrap.dedent(CASES["a finalizer raises"][2]))
    result = json.loads(CliRunner().invoke(command, [str(tmp_path), "--format", "json"]).stdout)
    assert result["schema"] == 1 and result["files"] == 1 and result["unread"] == []
    assert result["findings"][0]["rule"] == "del-raises" and result["findings"][0]["line"] == 4
