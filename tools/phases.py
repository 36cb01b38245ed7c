#!/usr/bin/env python3
"""Run phases, which are targets of the Makefile, one after the other, and say what each took.

    phases.py static unit sanity
    phases.py --background images --before molecule static unit molecule

The first phase that fails ends the run. A phase that runs pytest counts its tests, any other phase counts as one test;
the last line of the output is `N passed, N failed` over all of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What became of one phase; a phase that was never reached has no seconds."""

    name: str
    seconds: float | None = None
    passed: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Background:
    """A target that is made beside the phases until the phase `before` needs it."""

    target: str
    before: str
    log: Path
    process: subprocess.Popen[bytes]

    def finish(self) -> int:
        """Wait for it, and show its log when it failed."""
        code = self.process.wait()
        if code:
            for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
                say(self.target, line)
        return code


def say(source: str, text: str) -> None:
    """Print a line with the time of day and where it comes from."""
    print(f"{datetime.now():%H:%M:%S} {source:<8}| {text}", flush=True)


def environment(report: Path) -> dict[str, str]:
    """The environment of a phase: pytest, wherever it runs in it, reports to `report`."""
    # Make's own variables would tie the phase to the make that runs this script.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    options = f"{kept.get('PYTEST_ADDOPTS', '')} --junit-xml={report}".strip()
    return {**kept, "PYTEST_ADDOPTS": options, "PYTHONUNBUFFERED": "1"}


def count(report: Path, code: int) -> tuple[int, int]:
    """How many tests passed and failed, from pytest's report and the exit code of the phase."""
    passed = failed = 0
    if report.exists():
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            ran = int(suite.get("tests", 0)) - int(suite.get("skipped", 0))
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            passed, failed = passed + ran - bad, failed + bad
    elif code == 0:
        passed = 1
    if code and not failed:
        failed = 1
    return passed, failed


def run(name: str, reports: Path) -> Outcome:
    """Make one phase, with its output shown line by line."""
    report = reports / f"{name}.xml"
    report.unlink(missing_ok=True)
    say(name, "starts")
    started = time.monotonic()
    with subprocess.Popen(
        ["make", "--no-print-directory", name],
        env=environment(report),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            say(name, line.rstrip())
    seconds = time.monotonic() - started
    say(name, f"{'failed' if process.returncode else 'passed'} after {seconds:.0f} s")
    return Outcome(name, seconds, *count(report, process.returncode))


def run_all(names: Sequence[str], reports: Path, background: Background | None) -> Iterator[Outcome]:
    """Make the phases up to the first that fails."""
    failed = False
    for name in names:
        if failed:
            yield Outcome(name)
            continue
        if background and background.before == name:
            started = time.monotonic()
            failed = background.finish() != 0
            yield Outcome(f"({background.target})", time.monotonic() - started, int(not failed), int(failed))
            if failed:
                yield Outcome(name)
                continue
        outcome = run(name, reports)
        failed = outcome.failed > 0
        yield outcome


@contextmanager
def beside(target: str | None, before: str | None, reports: Path) -> Iterator[Background | None]:
    """Make a target in the background; it does not outlive the run."""
    if target is None or before is None:
        yield None
        return
    log = reports / f"{target}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["make", "--no-print-directory", target],
            env=environment(reports / f"{target}.xml"),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    say(target, f"starts in the background, log in {log}")
    try:
        yield Background(target, before, log, process)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def table(outcomes: Sequence[Outcome]) -> str:
    """A table of what each phase took; a name in brackets is the wait for what was made in the background."""
    lines = [f"{'phase':<12}{'took':>8}{'passed':>8}{'failed':>8}"]
    for outcome in outcomes:
        took = "not run" if outcome.seconds is None else f"{outcome.seconds:.0f} s"
        lines.append(f"{outcome.name:<12}{took:>8}{outcome.passed:>8}{outcome.failed:>8}")
    total = sum(outcome.seconds or 0.0 for outcome in outcomes)
    lines.append(f"{'all':<12}{f'{total:.0f} s':>8}")
    return "\n".join(lines)


def closing(outcomes: Sequence[Outcome]) -> str:
    """The closing line."""
    return f"{sum(outcome.passed for outcome in outcomes)} passed, {sum(outcome.failed for outcome in outcomes)} failed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the phases; the exit code is 0 when all of them passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phases", nargs="+", help="targets of the Makefile, in this order")
    parser.add_argument("--reports", type=Path, default=Path("build/test"), help="where pytest's reports go")
    parser.add_argument("--background", metavar="TARGET", help="a target to make beside the phases")
    parser.add_argument("--before", metavar="PHASE", help="the phase that needs the background target")
    chosen = parser.parse_args(arguments)
    if (chosen.background is None) != (chosen.before is None):
        parser.error("--background and --before go together")
    reports = chosen.reports.absolute()
    reports.mkdir(parents=True, exist_ok=True)
    with beside(chosen.background, chosen.before, reports) as background:
        outcomes = list(run_all(chosen.phases, reports, background))
    print(f"\n{table(outcomes)}\n\n{closing(outcomes)}", flush=True)
    return int(any(outcome.failed for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
