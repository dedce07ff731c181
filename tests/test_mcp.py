"""`leakhunt mcp`, asked by the official SDK's own client: what it answers, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from heap import run_folder
from pages import worker

pytest.importorskip("mcp")

import mcp as sdk
from mcp.client.stdio import stdio_client

from leakhunt.errors import LeakhuntError, UsageError
from leakhunt.export import parquet
from leakhunt.export.tables import Tables
from leakhunt.mcp.answers import CHARACTERS_MAX, bounded
from leakhunt.mcp.folder import Folder
from leakhunt.query import Database

Session = sdk.ClientSession


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """runs/run1, and outside of runs/ another run, a secret, and links to both."""
    made = tmp_path_factory.mktemp("place")
    (made / "runs").mkdir()
    run_folder(made / "runs" / "run1", worker(101, 0), worker(103, 20))
    run_folder(made / "other", worker(104, 20))
    (made / "secret.csv").write_text("word\nswordfish\n")
    (made / "runs" / "link").symlink_to(made / "other")
    (made / "runs" / "file").symlink_to(made / "secret.csv")
    return made


def talk(place: Path, ask: Callable[[Session], Awaitable[Any]]) -> Any:
    """Start the server as a client does, and talk to it."""

    async def whole() -> Any:
        words = ["-m", "leakhunt", "mcp", str(place / "runs")]
        parameters = sdk.StdioServerParameters(command=sys.executable, args=words, env=dict(os.environ))
        async with stdio_client(parameters) as streams, Session(*streams) as session:
            await session.initialize()
            return await ask(session)

    return asyncio.run(asyncio.wait_for(whole(), 120))


async def told(session: Session, tool: str, **arguments: Any) -> Any:
    """The answer of a tool as JSON."""
    result = await session.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return json.loads(result.content[0].text)


async def refused(session: Session, tool: str, **arguments: Any) -> str:
    """The sentence with which a tool refuses."""
    result = await session.call_tool(tool, arguments)
    assert result.is_error, result.content
    text: str = result.content[0].text
    assert "Traceback" not in text
    return text


@pytest.mark.story
def test_every_tool_answers_and_says_that_it_only_reads(place: Path) -> None:
    async def ask(session: Session) -> None:
        tools = (await session.list_tools()).tools
        assert {t.name for t in tools} == {"runs", "findings", "finding", "chain", "unit", "classes", "sql", "graph"}
        assert all(t.annotations and t.annotations.read_only_hint and t.description for t in tools)
        assert (await told(session, "runs"))["runs"] == ["run1"]
        found = await told(session, "findings", run="run1")
        assert (found["verdict"], found["findings"][0]["type"]) == ("leak", "shop.Order")
        assert (await told(session, "finding", run="run1", rank=1))["holder"]["owner"] == "shop.Store.orders"
        chain = (await told(session, "chain", run="run1", rank=1))["chains"][0]
        assert chain[0]["kind"] == "root"
        assert (await told(session, "chain", run="run1", type="shop.Order"))["chains"]
        assert (await told(session, "unit", run="run1", rank=1))["type"] == "shop.Order"
        classes = (await told(session, "classes", run="run1", limit=3))["classes"]
        assert classes[0]["type"] == "shop.Order" and len(classes) == 3
        rows = await told(
            session, "sql", run="run1", sql="SELECT type, count(*) AS n FROM objects GROUP BY 1 ORDER BY 2"
        )
        assert rows["columns"] == ["type", "n"] and ["shop.Order", 480] in rows["rows"]
        picture = (await session.call_tool("graph", {"run": "run1", "rank": 1})).content[0]
        assert base64.b64decode(picture.data).startswith(b"\x89PNG")
        svg = (await session.call_tool("graph", {"run": "run1", "type": "shop.Order", "format": "svg"})).content[0]
        assert svg.text.startswith("<svg")

    talk(place, ask)


@pytest.mark.story
def test_hostile_questions_are_refused_in_a_sentence(place: Path) -> None:
    secret = place / "secret.csv"

    async def ask(session: Session) -> None:
        for name in (
            "../other",
            "link",
            "/etc",
            str(place / "other"),
            "run1/../../other",
            "",
            "run1\0",
            "x" * 9000,
            "file",
        ):
            assert "no run or snapshot" in await refused(session, "findings", run=name), name
        for sql in (
            f"SELECT * FROM read_csv('{secret}')",
            f"SELECT * FROM '{secret}'",
            f"SELECT content FROM read_text('{secret}')",
            f"COPY objects TO '{place / 'runs' / 'out.csv'}'",
            f"ATTACH '{place / 'runs' / 'out.db'}'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "SELECT 1; DROP VIEW objects",
            "CREATE TABLE t AS SELECT 1",
            "SELECT * FROM glob('/etc/*')",
            "SELECT * FROM read_parquet('https://example.org/x.parquet')",
            "PRAGMA database_list",
            "EXPORT DATABASE 'x'",
        ):
            text = await refused(session, "sql", run="run1", sql=sql)
            assert "swordfish" not in text, sql
        assert await refused(session, "graph", run="run1", rank=1, format="exe")
        assert await refused(session, "finding", run="run1", rank=99)
        assert await refused(session, "finding", run="run1", rank=-1)
        assert await refused(session, "chain", run="run1", type="no.such.Class")
        assert await refused(session, "no_such_tool")
        assert (await told(session, "runs"))["runs"] == ["run1"]  # it is still there

    talk(place, ask)
    assert sorted(path.name for path in (place / "runs").iterdir()) == ["file", "link", "run1"]


def test_a_link_inside_of_a_run_does_not_lead_out(place: Path, tmp_path: Path) -> None:
    run = run_folder(tmp_path / "runs" / "run2", worker(101, 0))
    Folder(tmp_path / "runs").inside("run2")
    (run / "pid-9.0").symlink_to(place / "other" / "pid-104.0")
    with pytest.raises(UsageError, match="leads out"):
        Folder(tmp_path / "runs").inside("run2")


def test_a_locked_database_has_no_variables_of_this_process(place: Path) -> None:
    swordfish = Tables(place / "runs" / "run1").table("findings")
    assert swordfish.num_rows
    locked = Database(place / "runs" / "run1", is_locked=True)
    with pytest.raises(UsageError, match="swordfish does not exist"):
        locked.ask("SELECT * FROM swordfish").rows()
    assert locked.ask("DESCRIBE findings").rows()


def test_a_locked_database_reads_an_exported_folder_too(place: Path, tmp_path: Path) -> None:
    parquet.write(Tables(place / "runs" / "run1"), tmp_path / "export")
    locked = Database(tmp_path / "export", is_locked=True)
    assert locked.ask("SELECT count(*) FROM objects WHERE type = 'shop.Order'").rows() == [(480,)]
    with pytest.raises(UsageError):
        locked.ask(f"SELECT * FROM read_parquet('{tmp_path}/export/objects.parquet')")


def test_a_question_without_an_end_is_ended(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leakhunt.query.LOCKED_SECONDS", 0.2)
    locked = Database(place / "runs" / "run1", is_locked=True)
    with pytest.raises(LeakhuntError):
        locked.ask("SELECT count(*) FROM range(1000000000000) a, range(1000000) b WHERE a.range % 7 = b.range").rows()


def test_an_answer_is_never_larger_than_its_bound() -> None:
    found = bounded({"rows": [["x" * 1900] * 3 for _ in range(500)], "text": "y" * 100_000})
    assert len(json.dumps(found)) <= CHARACTERS_MAX
    assert found["is_cut"] and len(found["rows"]) > 2
    assert bounded({"rows": [1, 2]}) == {"rows": [1, 2]}


def test_a_missing_sdk_is_a_sentence_with_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from leakhunt.cli.app import invoke

    monkeypatch.setitem(sys.modules, "mcp.server", None)
    assert invoke(["mcp", str(tmp_path)]) == 3
    assert "pip install 'leakhunt[mcp]'" in capsys.readouterr().err
    assert invoke(["mcp", str(tmp_path / "none")]) in (2, 3)
