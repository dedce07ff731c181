"""What is asked of the agent in another process, and the text in which it is asked."""

from __future__ import annotations

from dataclasses import dataclass

ARM, DISARM, MOVE = "arm", "disarm", "move"


@dataclass(frozen=True)
class Request:
    """Start sampling into `folder` with the agent's `options` text, or (DISARM) stop and leave, or (MOVE) go on there.

    `folder` is a path as the target sees it. For DISARM it says whose agent is meant; "" is any. For MOVE, `options` is
    the run folder that the agent was started with.
    """

    action: str = ARM
    folder: str = ""
    options: str = ""
    patience_seconds: float = 20.0  # how long the target may take to answer, once it was asked

    def text(self) -> bytes:
        """What `agent/payload.py` and the agent's listener read."""
        return "\0".join((self.action, self.folder, self.options)).encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Answer:
    """What came back. `word` is "started", "already" (armed before; `detail` names the run folder it writes to),
    "moved" (`detail`: the process folder that goes on), "stopped", "stopping" (its last snapshot still goes on),
    "absent" (nothing to stop) or "failed".

    `pause_ms` is how long a thread of the target stood still for it; 0.0 for ways that stop none.
    """

    word: str
    detail: str = ""
    method: str = ""
    pause_ms: float = 0.0

    @classmethod
    def parse(cls, data: bytes) -> Answer:
        word, _, detail = data.decode("utf-8", "replace").partition("\0")
        return cls(word, detail)
