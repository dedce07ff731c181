"""Findings as real hunts give them, for the tests of every renderer."""

from __future__ import annotations

from dataclasses import replace

from leakhunt.findings import (
    Caller,
    Chain,
    ClassSeries,
    Diff,
    DiffRow,
    Edge,
    Finalizer,
    Finding,
    Findings,
    Growth,
    Holder,
    Link,
    Node,
    Origin,
    ProcessSummary,
    RefGraph,
    Retained,
    RunSummary,
)

SECONDS = tuple(0.5 * n for n in range(1, 21))


def rising(step: int, start: int = 0, moments: int = 20) -> tuple[int, ...]:
    return tuple(start + step * n for n in range(moments))


def boxes() -> Retained:
    """48 MB, of which the cookie jar keeps 30."""
    cookies = Retained("", "http.cookies.SimpleCookie", 27_000_000, 4_212, inside=(
        Retained("", "aiohttp.cookiejar.Morsel", 20_000_000, 24_180),
        Retained("", "", 900_000, 4_211),
    ))  # fmt: skip
    jar = Retained(
        "aiohttp.cookiejar.CookieJar._cookies", "collections.defaultdict", 30_000_000, shared=True, inside=(cookies,)
    )
    client = Retained("shop.client", "builtins.module", 31_000_000, inside=(jar,))
    return Retained("", "", 48_000_000, 900_000, inside=(
        client, Retained("", "builtins.type", 12_000_000, 2_400), Retained("", "", 5_000_000, 88_000),
    ))  # fmt: skip


def process(pid: int = 4711, found: tuple[int, ...] = (1,), **changes: object) -> ProcessSummary:
    """One process of ten seconds, with four classes of which Morsel and dict grow."""
    values: dict[str, object] = {
        "pid": pid,
        "command": "python app.py",
        "snapshots": 20,
        "python": "3.11.7",
        "engine": "c",
        "seconds": SECONDS,
        "deep_seconds": (1.0, 4.0, 10.0),
        "rss_bytes": rising(1_500_000, 20_000_000),
        "allocated_blocks": rising(9_000, 100_000),
        "gc_objects": rising(3_000, 40_000),
        "pause_ms": tuple(1.5 if n not in (1, 7, 19) else 38.0 for n in range(20)),
        "classes": (
            ClassSeries("aiohttp.cookiejar.Morsel", rising(1240, 620), rising(150_000, 75_000)),
            ClassSeries("builtins.dict", rising(1300, 9_000), rising(90_000, 900_000)),
            ClassSeries("http.cookies.SimpleCookie", rising(310, 5), rising(40_000, 800)),
            ClassSeries("shop.db.Cursor", (4,) * 20, (640,) * 20),
        ),
        "findings": found,
        "retained": boxes(),
    }
    return ProcessSummary(**{**values, **changes})  # type: ignore[arg-type]


def cookie_chain() -> Chain:
    return Chain(
        (
            Link("root", "module shop.client", "builtins.module"),
            Link("attribute", ".SESSION", "aiohttp.client.ClientSession"),
            Link("attribute", "._cookie_jar", "aiohttp.cookiejar.CookieJar"),
            Link("attribute", "._cookies", "collections.defaultdict"),
            Link("item", "[*]", "http.cookies.SimpleCookie"),
            Link("item", "[*]", "aiohttp.cookiejar.Morsel", "aiohttp/cookiejar.py:212"),
        )
    )


def morsels() -> tuple[Node, ...]:
    """One Morsel that keeps much, many that are alike, and the rest."""
    return (
        Node(-1, "aiohttp.cookiejar.Morsel", 1, 120, detail="['session'], 9 items", retained_bytes=80_000),
        Node(-1, "aiohttp.cookiejar.Morsel", 24_000, 2_880_000, detail="8 items each", retained_bytes=19_000_000),
        Node(-1, "", 179, 19_880),
    )


def cookie_graph() -> RefGraph:
    nodes = (
        Node(0, "builtins.module", role="root", detail="shop.client"),
        Node(1, "aiohttp.client.ClientSession", size_bytes=1_200),
        Node(2, "aiohttp.cookiejar.CookieJar", size_bytes=400),
        Node(3, "collections.defaultdict", size_bytes=295_000, role="holder", detail="aiohttp/cookiejar.py:61"),
        Node(4, "http.cookies.SimpleCookie", count=4_212, size_bytes=980_000),
        Node(5, "aiohttp.cookiejar.Morsel", count=24_180, size_bytes=2_900_000, role="leaked", inside=morsels()),
        Node(6, "shop.db.Cursor", size_bytes=160, role="finalizer", detail="shop/db.py:40"),
    )
    edges = (
        Edge(0, 1, ".SESSION"),
        Edge(1, 2, "._cookie_jar"),
        Edge(2, 3, "._cookies"),
        Edge(3, 4, "[*]", 4_212, faulty=True),
        Edge(4, 5, "[*]", 24_180),
        Edge(1, 6, "._cursor"),
        Edge(6, 2, "._jar"),
    )
    return RefGraph("What holds aiohttp.cookiejar.Morsel", nodes, edges)


def cookie_finding(rank: int = 1) -> Finding:
    return Finding(
        kind="python-leak",
        type="aiohttp.cookiejar.Morsel",
        rank=rank,
        also_growing=("builtins.dict", "http.cookies.SimpleCookie"),
        confidence=0.98,
        reason="1,240 more on every interval, none ever freed, all held by one growing dict",
        holder=Holder(
            owner="aiohttp.cookiejar.CookieJar._cookies",
            aliases=("shop.client.SESSION._cookie_jar._cookies",),
            path=cookie_chain().path(),
            type="collections.defaultdict",
            file="aiohttp/cookiejar.py",
            line=61,
        ),
        growth=Growth(7440.0, 900_000.0, SECONDS, rising(1240, 620), rising(150_000, 75_000)),
        retained_size_bytes=4_100_000,
        finalizers=(
            Finalizer(
                "shop.db.Cursor",
                "shop/db.py",
                40,
                in_cycle=True,
                pins_bytes=52_000,
                says="runs only when the collector finds the cycle, and holds the session until then",
            ),
        ),
        fingerprint="4f1c9a",
        advice="Bound the jar: pass DummyCookieJar() where cookies are not wanted, or clear() it per host.",
        chain=cookie_chain(),
        graph=cookie_graph(),
        pids=(4711,),
    )


def refcount_finding(rank: int = 1) -> Finding:
    """Alive without any referrer: no holder, no chain, no graph."""
    return Finding(
        kind="refcount-leak",
        type="codec.Frame",
        rank=rank,
        confidence=0.72,
        reason="600 frames have a reference count above what the heap explains",
        growth=Growth(600.0, 48_000.0, SECONDS, rising(100), rising(8_000)),
        advice="Look for a missing Py_DECREF in the extension that makes codec.Frame.",
        pids=(4711,),
    )


def run(**changes: object) -> RunSummary:
    values: dict[str, object] = {
        "command": ("python", "app.py"),
        "seconds": 10.2,
        "snapshots": 20,
        "python": "3.11.7",
        "path": "leakhunt-runs/app",
        "exit_status": 0,
    }
    return RunSummary(**{**values, **changes})  # type: ignore[arg-type]


def leak() -> Findings:
    """The session keeps every cookie it ever saw."""
    summary = (
        "aiohttp.cookiejar.Morsel piles up in aiohttp.cookiejar.CookieJar._cookies (aiohttp/cookiejar.py:61), "
        "7,440 more a minute."
    )
    return Findings(run(), "leak", summary, (cookie_finding(),), (process(),))


def healthy() -> Findings:
    classes = (ClassSeries("shop.cache.Entry", (10, 200, *(512,) * 18), (800, 16_000, *(40_960,) * 18)),)
    quiet = process(found=(), rss_bytes=(20_000_000, *(24_000_000,) * 19), classes=classes)
    return Findings(run(), "healthy", "Nothing grows without end.", (), (quiet,))


def inconclusive() -> Findings:
    """Three snapshots while the program still imports."""
    short = process(
        found=(),
        snapshots=3,
        seconds=SECONDS[:3],
        deep_seconds=(1.0,),
        rss_bytes=(20_000_000, 24_000_000, 26_000_000),
        gc_objects=(30_000, 38_000, 41_000),
        pause_ms=(1.5, 38.0, 1.5),
        classes=(ClassSeries("builtins.function", (4_000, 7_100, 7_900), (400_000, 710_000, 790_000)),),
    )
    notes = ("Three snapshots cannot tell a leak from a warm-up: let it run for at least 2 minutes.",)
    summary = "Too little was seen: run for at least 2 minutes, or set --interval 0.5."
    return Findings(run(seconds=1.6, snapshots=3), "inconclusive", summary, (), (short,), notes)


def two_processes() -> Findings:
    """A master that is well and a worker that leaks in two ways."""
    worker = process(4712, (1, 2), command="python -m gunicorn worker", notes=("killed by SIGKILL",))
    master = process(4711, (), command="python -m gunicorn app", classes=(), rss_bytes=(30_000_000,) * 20)
    found = tuple(replace(finding, pids=(4712,)) for finding in (cookie_finding(), refcount_finding(2)))
    return Findings(run(), "leak", "", found, (master, worker))


def refcount() -> Findings:
    return Findings(run(path=""), "leak", "", (refcount_finding(),), (process(),))


def many() -> Findings:
    return Findings(run(), "leak", "", tuple(cookie_finding(rank) for rank in range(1, 8)), (process(),))


def hostile() -> Findings:
    """Names that break a terminal, a page or a picture when they are not escaped."""
    bad = '<script>alert("1")</script>\x1b[31m\u202e\n\\N{x}' + "é" * 300
    links = (Link("root", f"module {bad}", bad), Link("item", f"[{bad}]", bad, f"{bad}:1"))
    graph = RefGraph(
        bad, (Node(0, bad, role="root", detail=bad), Node(1, bad, role="leaked")), (Edge(0, 1, bad, 1, True),)
    )
    finding = Finding(
        "python-leak",
        bad,
        1,
        (bad,),
        0.5,
        bad,
        Holder(bad, (bad,), (bad,), bad, bad, 3),
        Growth(1.0, 1.0, SECONDS, rising(1), rising(2)),
        1,
        (Finalizer(bad, bad, 1, says=bad),),
        Origin(bad, 1, bad, 1.0, 2, 2, (bad,), (Caller(bad, 1, bad, 2, (Caller(bad, 2, bad, 2),), bad),), source=bad),
        "f",
        bad,
        Chain(links),
        graph,
        (4711,),
        added_at=Origin(bad, 1, bad, 1.0, 2, 2, (bad,), awaited_by=(bad,)),
        unseen=(f"put in at: {bad}",),
    )
    classes = (ClassSeries(bad, rising(3), rising(5)),)
    kept = Retained("", "", 10, inside=(Retained(bad, bad, 9, inside=(Retained("", bad, 4, 2), Retained("", bad, 4))),))
    known = process(command=bad, classes=classes, retained=kept)
    return Findings(run(command=(bad,), path=bad), "leak", bad, (finding,), (known,), (bad,))


def diff() -> Diff:
    rows = (
        DiffRow("aiohttp.cookiejar.Morsel", 620, 24_180, 75_000, 2_900_000, 23_600, 40, 580, 11_000),
        DiffRow("builtins.dict", 9_000, 33_000, 900_000, 2_610_000, 40_000, 16_000, 8_000, 9_100),
        DiffRow("shop.db.Cursor", 12, 4, 1_920, 640, 4, 12, 0, 0),
    )
    return Diff("0001.leak", "0020.leak", 9.5, rows, "0010.leak", ("One class was renamed.",))


ALL = {
    "leak": leak,
    "healthy": healthy,
    "inconclusive": inconclusive,
    "two_processes": two_processes,
    "refcount": refcount,
    "many": many,
    "hostile": hostile,
}
