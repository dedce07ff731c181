"""Wheels of a package that leaks in some of its releases, in a folder that pip and uv take for an index."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

LEAKY = """
KEPT = []

class Job: pass

def work():
    for _ in range(20):
        KEPT.append(Job())
"""
CLEAN = """
class Job: pass

def work():
    for _ in range(20):
        Job()
"""
BROKEN = "raise ImportError('this release is broken')\n"
PROGRAM = """
import time
import jobs

for _ in range(60):
    jobs.work()
    time.sleep(0.05)
"""


def wheel(folder: Path, name: str, version: str, source: str, requires: tuple[str, ...] = ()) -> Path:
    """A wheel with one module, which is called as the package is."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as file:
        for path, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            file.writestr(path, text)
    return made


def index(folder: Path) -> dict[str, str]:
    """The environment variables with which pip and uv know this folder, and nothing else."""
    return {
        "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(folder),
        "UV_OFFLINE": "1",
        "PIP_CONFIG_FILE": "/dev/null",
    }  # fmt: skip
