"""The few instructions that run in the target, and the page that they stand on (x86-64).

The page is made by the target's own mmap, readable and executable, never writable; leakhunt writes it through ptrace.
It needs no file, no compiler and no dynamic linker in the target, hence no lock of these either. Layout:

    TABLE   addresses of the functions below, then the size of the page
    START   where the new thread begins, with the page's address as its argument
    SCRIPT  Python source, ending in a zero byte

A second page, right behind it, holds the table again and GO, which the stopped thread calls; it is unmapped from
outside. The first is unmapped by the new thread itself with its last instruction, a jump, so nothing is left. That
may happen before pthread_create has returned to GO, which therefore looks at nothing in the first page.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

FUNCTIONS = (
    "Py_IsInitialized", "PyGILState_Ensure", "PyRun_SimpleString", "PyGILState_Release", "munmap",
    "pthread_create", "pthread_detach",
)  # fmt: skip
SYSCALL = b"\x0f\x05"
PAGE_BYTES = 4096

CODE_OFFSET = 0x80
_SCRIPT_OFFSET = 0x100

# void *start(page): if (Py_IsInitialized()) { s = Ensure(); PyRun_SimpleString(script); Release(s); }
#                    munmap(page, size)
# The frame is gone before the jump: munmap returns straight into the C library, which ends the thread.
START = bytes.fromhex(
    "53"              # push   rbx
    "4154"            # push   r12
    "4883ec08"        # sub    rsp,0x8
    "4889fb"          # mov    rbx,rdi
    "ff13"            # call   [rbx]            Py_IsInitialized
    "85c0"            # test   eax,eax
    "7418"            # je     done
    "ff5308"          # call   [rbx+0x8]        PyGILState_Ensure
    "4189c4"          # mov    r12d,eax
    "488dbb00010000"  # lea    rdi,[rbx+0x100]  SCRIPT
    "31c0"            # xor    eax,eax
    "ff5310"          # call   [rbx+0x10]       PyRun_SimpleString
    "4489e7"          # mov    edi,r12d
    "ff5318"          # call   [rbx+0x18]       PyGILState_Release
    # done:
    "4889df"          # mov    rdi,rbx
    "488b7338"        # mov    rsi,[rbx+0x38]   size of the page
    "488b4320"        # mov    rax,[rbx+0x20]   munmap
    "4883c408"        # add    rsp,0x8
    "415c"            # pop    r12
    "5b"              # pop    rbx
    "ffe0"            # jmp    rax
)  # fmt: skip

# int go(): rbx holds the second page. pthread_create(&thread, NULL, start, first page) || pthread_detach(thread)
GO = bytes.fromhex(
    "4883ec10"        # sub    rsp,0x10
    "4889e7"          # mov    rdi,rsp
    "31f6"            # xor    esi,esi
    "488d9380f0ffff"  # lea    rdx,[rbx-0xf80]  START
    "488d8b00f0ffff"  # lea    rcx,[rbx-0x1000]
    "ff5328"          # call   [rbx+0x28]       pthread_create
    "85c0"            # test   eax,eax
    "7507"            # jne    out
    "488b3c24"        # mov    rdi,[rsp]
    "ff5330"          # call   [rbx+0x30]       pthread_detach
    # out:
    "cc"              # int3
)  # fmt: skip


def first_page(addresses: Mapping[str, int], script: str) -> bytes:
    """Raises ValueError when the script does not fit."""
    text = script.encode("utf-8", "surrogateescape") + b"\0"
    if len(text) > PAGE_BYTES - _SCRIPT_OFFSET:
        raise ValueError("the script does not fit into the page")
    return _table(addresses) + START.ljust(_SCRIPT_OFFSET - CODE_OFFSET, b"\0") + text


def second_page(addresses: Mapping[str, int]) -> bytes:
    return _table(addresses) + GO


def _table(addresses: Mapping[str, int]) -> bytes:
    table = struct.pack("<8Q", *(addresses[name] for name in FUNCTIONS), PAGE_BYTES)
    return table.ljust(CODE_OFFSET, b"\0")
