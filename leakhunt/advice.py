"""What upgrades may do about the leaks of a run: `leakhunt advise`."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from leakhunt.errors import LeakhuntError
from leakhunt.findings import Advice, Advised, Finding, Findings, PackageAdvice
from leakhunt.interpreters import Interpreter, inspect, needs_packaging, releases
from leakhunt.packages import Installed, installed
from leakhunt.releases import bounds_hold, compared, install, known_fix, version_of
from leakhunt.runfolder import RunFolder

Tell = Callable[[str, float], None]


GONE = "The program's packages are not here any more, and the run does not say which it had."


class Advisor:
    """Asks the index that the program's own interpreter would ask, once for each package."""

    def __init__(self, run: RunFolder, tell: Tell) -> None:
        needs_packaging()
        self._tell = tell
        self.among = [Installed(*one) for one in run.packages] if run.packages is not None else _now(run)
        self._problem = ""
        self._interpreter = self._own(run)
        self._asked: dict[str, PackageAdvice] = {}

    def advice(self, findings: Findings) -> Advice:
        """What is known of every finding's packages."""
        notes = () if self.among else (GONE,)
        advised = tuple(self._advised(finding, findings) for finding in findings.findings)
        return Advice(findings.run, findings.verdict, advised, notes)

    def _advised(self, finding: Finding, findings: Findings) -> Advised:
        known = known_fix(finding)
        version = version_of(known.package, self.among) if known else ""
        named = {
            **({known.package: version} if known and version else {}),
            **{p.name: p.version for p in finding.packages},
        }
        packages = tuple(self._package(name, version) for name, version in named.items())
        is_older = known is not None and bool(version) and (compared(version, known.release) or 0) < 0
        held = f" held by {finding.holder.owner}" if finding.holder else ""
        return Advised(
            rank=finding.rank, fingerprint=finding.fingerprint, leak=f"{finding.type or finding.kind}{held}",
            known=bounds_hold(known, version) if known else "", install=install(known) if known and is_older else "",
            next=_bisect(packages, findings) if known is None else "", packages=packages,
        )  # fmt: skip

    def _package(self, name: str, version: str) -> PackageAdvice:
        if name not in self._asked:
            self._tell(f"asking for releases of {name}", min(0.9, len(self._asked) / 10))
            self._asked[name] = self._newer(Installed(name, version))
        return self._asked[name]

    def _newer(self, one: Installed) -> PackageAdvice:
        if self._interpreter is None:
            return PackageAdvice(one.name, one.version, problem=self._problem)
        try:
            found = [str(version) for version in releases(one.name, self._interpreter)]
        except LeakhuntError as problem:
            return PackageAdvice(one.name, one.version, problem=problem.message)
        newer = [version for version in found if (compared(version, one.version) or 0) > 0]
        return PackageAdvice(one.name, one.version, found[-1] if found else "", len(newer))

    def _own(self, run: RunFolder) -> Interpreter | None:
        """The interpreter that the program ran on, where it is still here."""
        names = [path for process in run.processes if (path := process.info.get("executable", ""))]
        try:
            return inspect(names[0]) if names else None
        except LeakhuntError:
            self._problem = f"the program's interpreter is not here any more ({names[0]})"
            return None


def _now(run: RunFolder) -> list[Installed]:
    """What the program could import, as of now: the run was made before that was noted."""
    folders = [path for process in run.processes for path in process.info.get("path", "").split("\x1f")]
    return list(dict.fromkeys(installed(folders)))


def _bisect(packages: tuple[PackageAdvice, ...], findings: Findings) -> str:
    """What to type to find the release that fixed a leak of which none is known, for the package nearest to it."""
    one = next((package for package in packages if package.newer), None)
    if one is None:
        return ""
    command = shlex.join(findings.run.command) or "COMMAND"
    return f"leakhunt bisect --package '{one.name}>={one.version}' --goal fixed -- {command}"
