"""The command of --on-leak: run by the shell once for each leak, with the finding as JSON on stdin."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys

from leakhunt.findings import Finding, Findings

COMMAND_SECONDS = 60.0


class Notifier:
    """Remembers what it has told of. `problem` is what went wrong last, "" where nothing did."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._told: set[str] = set()
        self._running: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        self.count = self.failures = 0
        self.problem = ""

    def tell(self, findings: Findings) -> None:
        """Run the command for each finding that it was not run for yet; one that fails is not tried again."""
        for finding in findings.findings:
            if finding.fingerprint not in self._told and not self._is_stopped:
                self._told.add(finding.fingerprint)
                self.count += 1
                self._run(message(findings, finding))

    def stop(self) -> None:
        """Begin no other command."""
        self._is_stopped = True

    def break_off(self) -> None:
        """Kill the command that runs, if one does; for another thread than that of `tell`."""
        process = self._running
        if process is not None and process.poll() is None:
            _kill(process)

    def _run(self, text: str) -> None:
        try:
            process = self._running = subprocess.Popen(
                ["/bin/sh", "-c", self._command],
                stdin=subprocess.PIPE,
                stdout=sys.stderr.fileno(),
                start_new_session=True,
            )
        except OSError as problem:
            self._failed(f"--on-leak cannot be run: {problem.strerror}.")
            return
        try:
            process.communicate(text.encode("utf-8", "backslashreplace"), COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.wait()
            self._failed(f"The command of --on-leak took more than {COMMAND_SECONDS:.0f} s and was killed.")
            return
        finally:
            self._running = None
        if process.returncode:
            self._failed(f"The command of --on-leak ended with {process.returncode}.")

    def _failed(self, problem: str) -> None:
        self.failures += 1
        self.problem = problem


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def message(findings: Findings, finding: Finding) -> str:
    """The finding as in `report --format json`, with the `run` that it is of, on one line."""
    return json.dumps({**dataclasses.asdict(finding), "run": dataclasses.asdict(findings.run)}) + "\n"
