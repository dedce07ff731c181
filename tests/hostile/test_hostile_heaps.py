"""No code of the program is called by the agent, whatever the heap holds: on both engines, on every interpreter."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest
from agent.conftest import target  # noqa: F401
from agent.target import Target, said

HERE = Path(__file__).parent
SEEDS = 25

PLANTED = f"""
sys.path.insert(0, {str(HERE)!r})
import hostile_heap
"""


def test_no_hook_of_a_hostile_heap_is_called(target: Target) -> None:  # noqa: F811
    ran = target.run(
        PLANTED
        + """
kept = hostile_heap.plant()
hostile_heap.listen()
for deep in (True, False, True): take(deep)
for name, calls in hostile_heap.heard().items(): print(name, calls)
sys.stdout.flush()
os._exit(0)
"""
    )
    assert dict(said(ran)) == {}
    assert len(ran.heaps) == 3
    assert ran.processes[0].problems == ""
    assert ran.err == ""


@pytest.mark.hostile
@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_hook_of_many_hostile_heaps_is_called(seed: int, target: Target) -> None:  # noqa: F811
    ran = target.run(
        PLANTED
        + f"""
kept = []
for number in range(4):
    kept.append(hostile_heap.plant({seed} * 100 + number))
    if number == 2: gc.freeze()
    hostile_heap.listen()
    for deep in (True, False, True): take(deep)
    for name, calls in hostile_heap.heard().items(): print(name, calls)
sys.stdout.flush()
os._exit(0)
"""
    )
    assert dict(said(ran)) == {}
    assert len(ran.heaps) == 12
    assert ran.processes[0].problems == ""


def test_a_key_that_clears_the_heap_when_it_is_compared_is_not_compared(target: Target) -> None:  # noqa: F811
    """A class namespace with a key that has the hash of `__sizeof__`: looking that up was a use after free."""
    ran = target.run(
        """
        class Key:
            def __hash__(self): return hash("__sizeof__")
            def __eq__(self, other):
                if armed:
                    compared.append(1)
                    kept.clear()
                    junk.extend(bytearray(b"A" * 420) for _ in range(3000))
                return False
        armed, compared, junk = [], [], []
        Hostile = type("Hostile", (), {Key(): 1, "__slots__": ()})
        kept = [Hostile()] + [("%06d" % n) * 54 for n in range(2000)]
        gc.freeze()
        armed.append(1)
        for _ in range(3): take()
        armed.clear()
        print("compared", len(compared))
        print("kept", len(kept))
        sys.stdout.flush()
        os._exit(0)
        """
    )
    assert dict(said(ran)) == {"compared": 0, "kept": 2001}


@pytest.fixture(scope="session")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder with the extension module `hostile_sizes`, by the interpreter that it was built for; built when asked."""
    return {"": tmp_path_factory.mktemp("hostile_sizes")}


def build(python: str, folder: Path) -> Path:
    """Build hostile_sizes.c for an interpreter; skips where there is no compiler or no header."""
    told = "import sysconfig as s; print(s.get_path('include')); print(s.get_config_var('EXT_SUFFIX'))"
    include, suffix = subprocess.run([python, "-c", told], capture_output=True, text=True, check=True).stdout.split()
    library = folder / f"hostile_sizes{suffix}"
    if not library.exists():
        compiler = (sysconfig.get_config_var("CC") or "cc").split()
        command = [*compiler, "-shared", "-fPIC", f"-I{include}", str(HERE / "hostile_sizes.c"), "-o", str(library)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            pytest.skip("no C compiler")
        if done.returncode:
            pytest.skip(f"no extension module can be built for it: {done.stderr[-200:]}")
    return folder


def test_a_size_that_lets_the_gil_go_is_not_asked_for(target: Target, sizes: dict[str, Path]) -> None:  # noqa: F811
    """An extension's `__sizeof__` let the GIL go while the C engine walked: the program changed what it held."""
    folder = build(target.python, sizes[""])
    ran = target.run(
        f"sys.path.insert(0, {str(folder)!r})\n"
        + """
import threading, time, hostile_sizes
def row(): return [hostile_sizes.Frame()] + [("%04d" % n).ljust(75, "y") for n in range(200)]
rows = [row() for _ in range(30)]
others = [hostile_sizes.BadSize(), hostile_sizes.TextSize()]
gc.freeze()
stop = []
def churn():
    while not stop:
        for one in rows:
            one[1:] = []
            junk = [bytearray(b"A" * 120) for _ in range(400)]
            time.sleep(0.001)
            one[1:] = [("%04d" % n).ljust(75, "y") for n in range(200)]
thread = threading.Thread(target=churn, daemon=True)
thread.start()
for n in range(6): take(n != 3)
stop.append(1)
thread.join()
print("calls", hostile_sizes.calls())
sys.stdout.flush()
os._exit(0)
"""
    )
    assert dict(said(ran)) == {"calls": 0}
    heap = ran.heaps[-1]
    assert len(heap.of_type("hostile_sizes.Frame")) == 30


@pytest.mark.parametrize("name", ["array.array", "collections.deque", "collections.OrderedDict", "decimal.Decimal"])
def test_sizes_that_the_interpreter_computes_are_still_asked_for(name: str, target: Target) -> None:  # noqa: F811
    """The nearest healthy case."""
    ran = target.run(
        f"""
        import array, collections, decimal
        made = {{
            "array.array": lambda: array.array("Q", range(5000)),
            "collections.deque": lambda: collections.deque(range(5000)),
            "collections.OrderedDict": lambda: collections.OrderedDict.fromkeys(range(5000)),
            "decimal.Decimal": lambda: decimal.Decimal("1." + "3" * 5000),
        }}[{name!r}]
        kept = [made()]
        print("address", id(kept[0]))
        print("size", sys.getsizeof(kept[0]))
        take()
        sys.stdout.flush()
        os._exit(0)
        """
    )
    words, heap = dict(said(ran)), ran.heaps[0]
    assert heap.rows["size"][heap.row_by_address[words["address"]]] == words["size"] > 2000


def test_the_buffer_of_a_bytesio_is_counted_once(target: Target) -> None:  # noqa: F811
    """In its own size up to 3.11, in the row of the buffer from 3.12 on: the collector is told of that then."""
    ran = target.run(
        """
        import io
        kept = [io.BytesIO(b"x" * 50000)]
        print("address", id(kept[0]))
        take()
        sys.stdout.flush()
        os._exit(0)
        """
    )
    heap, address = ran.heaps[0], dict(said(ran))["address"]
    rows = [heap.row_by_address[address]]
    rows += [heap.row_by_address[referent] for _, referent in heap.references(address)]
    of_values = [row for row in rows if "type" not in heap.type_of(heap.rows["address"][row])]
    assert 50_000 < sum(heap.rows["size"][row] for row in of_values) < 51_000
