"""What a user's type checker sees of `import leakhunt`: types, and names that are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")
ROOT = Path(__file__).parent.parent

USER = """
import leakhunt

reveal_type(leakhunt.load("run1"))
reveal_type(leakhunt.hunt("run1"))
reveal_type(leakhunt.hunt("run1").findings[0].holder)
reveal_type(leakhunt.Snapshot.load("s.leak").census)
reveal_type(leakhunt.arm())
reveal_type(leakhunt.this_process.top())
leakhunt.hunted("run1")
leakhunt.hunt(run=3)
"""


def test_a_user_s_mypy_knows_the_types_of_the_public_names(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER)
    (tmp_path / "leakhunt").symlink_to(ROOT / "leakhunt")
    words = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--ignore-missing-imports", "user.py"]
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    revealed = re.findall(r'Revealed type is "(.*)"', told)
    assert [name.replace("leakhunt.", "").replace("builtins.", "") for name in revealed] == [
        "notebook.HeapView | notebook.RunView",
        "findings.Findings",
        "findings.Holder | None",
        "dict[str, tuple[int, int]]",
        "bool",
        "display.Table",
    ], told
    assert 'Module has no attribute "hunted"' in told
    assert 'Argument "run" to "hunt" has incompatible type "int"' in told
