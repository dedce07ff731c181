"""The parts of attaching that can be looked at one by one: machine code, safe places, ELF, the stage."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leakhunt.attach import machine_code, safe_places, stage
from leakhunt.attach.elf import Elf, NotElf
from leakhunt.attach.foreign import Owner
from leakhunt.attach.procfs import RUNNING, SystemCall
from leakhunt.attach.ptrace import NAMES, WORD, Registers
from leakhunt.attach.request import Request
from leakhunt.attach.safe_places import Places, is_waiting, rank
from leakhunt.attach.stage import Stage
from leakhunt.attach.target import Target

SIGALRM_BIT = 1 << 13
CODE = range(0x1000, 0x2000)


@pytest.fixture
def program() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"]) as process:
        time.sleep(0.2)
        yield process
        process.kill()


@pytest.mark.skipif(not shutil.which("objdump"), reason="no objdump here")
@pytest.mark.parametrize("name", ["START", "GO"])
def test_the_machine_code_is_what_its_comments_say(name: str, tmp_path: Path) -> None:
    source = Path(machine_code.__file__).read_text()
    lines = re.search(rf"^{name} = bytes.fromhex\((.*?)^\)", source, re.DOTALL | re.MULTILINE)
    assert lines is not None
    said = re.findall(r'"[0-9a-f]+"\s+# (.*)', lines[1])
    code = tmp_path / "code"
    code.write_bytes(getattr(machine_code, name))
    options = ["-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel"]
    listing = subprocess.run(["objdump", *options, code], capture_output=True, text=True, check=True).stdout
    is_there = [line.split("\t")[2].strip() for line in listing.splitlines() if line.count("\t") == 2]
    assert [plain(line) for line in said] == [plain(line) for line in is_there]


def plain(instruction: str) -> str:
    """Without objdump's "QWORD PTR", and without the targets of jumps, which have names in the comments."""
    words = re.sub(r"QWORD PTR ", "", re.sub(r"\s+", " ", instruction)).split(" ")
    return words[0] if words[0] in ("je", "jne") else " ".join(words[:2])


def test_jumps_lead_to_their_labels() -> None:
    unmapping = bytes.fromhex("4889df")
    start, go = machine_code.START, machine_code.GO
    jump = start.index(b"\x74")
    assert start[jump + 2 + start[jump + 1] :].startswith(unmapping)
    jump = go.index(b"\x75")
    assert go[jump + 2 + go[jump + 1] :] == b"\xcc"


def test_a_script_that_does_not_fit_is_refused() -> None:
    addresses = dict.fromkeys(machine_code.FUNCTIONS, 0)
    assert len(machine_code.first_page(addresses, "x" * 3000)) <= machine_code.PAGE_BYTES
    with pytest.raises(ValueError, match="does not fit"):
        machine_code.first_page(addresses, "x" * 4000)


def registers(**values: int) -> Registers:
    return Registers([0] * len(NAMES)).replaced(**{"orig_rax": -1, **values})


def test_the_interpreters_own_text_is_safe_and_other_text_is_not() -> None:
    here = Places((CODE,), 0)
    assert here.is_safe(registers(rip=0x1800), 0)
    assert not here.is_safe(registers(rip=0x2800), 0)


def test_the_text_is_not_safe_inside_a_signal_handler() -> None:
    here = Places((CODE,), SIGALRM_BIT)
    assert here.is_safe(registers(rip=0x1800), 0)
    assert not here.is_safe(registers(rip=0x1800), SIGALRM_BIT)


def test_a_waiting_system_call_is_safe_and_one_that_malloc_makes_is_not() -> None:
    here, interrupted = Places((), 0), WORD - 512
    assert here.is_safe(registers(orig_rax=232, rax=interrupted), 0)  # epoll_wait
    assert not here.is_safe(registers(orig_rax=9, rax=interrupted), 0)  # mmap
    assert not here.is_safe(registers(orig_rax=0, rax=5), 0)  # read, which has its result and is about to return


def test_a_lock_of_the_c_library_is_told_from_one_of_python() -> None:
    assert is_waiting(safe_places.FUTEX, 0x189)  # FUTEX_WAIT_BITSET: semaphores and conditions
    assert not is_waiting(safe_places.FUTEX, 0x80)  # FUTEX_WAIT: malloc's arenas, the dynamic linker


def test_threads_that_wait_come_before_those_that_run() -> None:
    waiting, lock, runs = SystemCall(232, (0,) * 6), SystemCall(202, (0, 0x189, 0, 0, 0, 0)), SystemCall(RUNNING)
    assert [rank(call) for call in (waiting, lock, runs)] == [0, 1, 2]
    assert rank(SystemCall(9, (0,) * 6)) is None


def test_elf_symbols_are_those_that_nm_lists() -> None:
    library = next(Path(mapping.path) for mapping in Target(os.getpid()).mappings if "libc.so" in mapping.path)
    elf = Elf(library.read_bytes())
    ours = elf.symbols({"mmap", "pthread_create", "no_such_function"})
    assert "mmap" in ours and "no_such_function" not in ours
    if shutil.which("nm"):
        listed = subprocess.run(["nm", "-D", library], capture_output=True, text=True, check=True).stdout
        address = re.search(r"^([0-9a-f]+) \w mmap(@|$)", listed, re.MULTILINE)
        assert address is not None and int(address[1], 16) - elf.base == ours["mmap"]


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n" * 10, b"\x7fELF\x01\x01" + b"\0" * 100])
def test_what_is_no_elf_file_is_told(data: bytes) -> None:
    with pytest.raises(NotElf):
        Elf(data)


def test_an_elf_file_that_is_cut_short_is_told() -> None:
    data = Path(sys.executable).resolve().read_bytes()
    with pytest.raises(NotElf):
        _ = Elf(data[:80]).base


def test_a_stage_is_private_and_gone_afterwards(program: subprocess.Popen[bytes]) -> None:
    with Stage(Target(program.pid), Request()) as staged:
        match = re.search(r"/tmp/leakhunt-[0-9a-f]{16}", staged.call)
        assert match is not None
        folder = Path(match[0])
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "request").exists()
        assert all(file.stat().st_mode & 0o077 == 0 for file in folder.rglob("*"))
    assert not folder.exists()


def test_a_request_belongs_to_the_caller_or_to_the_target_but_not_to_both(program: subprocess.Popen[bytes]) -> None:
    with Stage(Target(program.pid), Request("disarm")) as staged:
        assert not staged.is_claimed
        exec(staged.call, {})  # as the target would
        assert staged.is_claimed
        assert not staged.withdraw()
        answer = staged.wait(1)
        assert answer is not None and answer.word == "absent"
    with Stage(Target(program.pid), Request("disarm")) as staged:
        assert staged.withdraw()
        exec(staged.call, {})
        assert staged.wait(0.05) is None


def test_the_staged_call_leaves_no_name_and_raises_nothing(program: subprocess.Popen[bytes]) -> None:
    namespace: dict[str, object] = {}
    with Stage(Target(program.pid), Request("arm", "/nowhere", "interval=nonsense")) as staged:
        exec(staged.call, namespace)
        answer = staged.wait(1)
        assert answer is not None and answer.word == "failed" and "ValueError" in answer.detail
        call = staged.call
    exec(call, namespace)  # the stage has gone
    assert set(namespace) == {"__builtins__"}
    assert not [name for name in sys.modules if name.startswith("_leakhunt_agent")]


def test_a_link_in_the_targets_root_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "tmp").symlink_to(tmp_path / "real")
    monkeypatch.setattr(stage, "PLACES", (f"{str(tmp_path)[1:]}/tmp",))
    owner = Owner.of(Target(os.getpid()))
    with pytest.raises(Exception, match="no directory that it can write to"):
        stage._make_in_a_place(os.getpid(), owner, "leakhunt-test")
    monkeypatch.setattr(stage, "PLACES", (f"{str(tmp_path)[1:]}/real",))
    os.close(stage._make_in_a_place(os.getpid(), owner, "leakhunt-test")[0])
    assert (tmp_path / "real/leakhunt-test").is_dir()


def test_a_damaged_file_exports_what_can_be_read_of_it() -> None:
    """The target chose it: no damage may end in anything but fewer symbols."""
    whole = Path(os.path.realpath("/proc/self/exe")).read_bytes()[: 1 << 16]
    for seed in range(2000):
        chosen = random.Random(seed)
        damaged = bytearray(whole[: chosen.choice([64, 100, 5000, len(whole)])])
        for _ in range(chosen.randint(1, 6)):
            damaged[chosen.randrange(6, 64)] = chosen.randrange(256)
        elf = Elf(bytes(damaged))
        assert set(elf.symbols({"main"})) <= {"main"}
        elf.section(".PyRuntime")
