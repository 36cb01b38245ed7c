"""A run of phases: what it shows, counts and answers, with a real make."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import phases
import pytest

SCRIPT = Path(phases.__file__)

MAKEFILE = """
good:
	@echo all is well
bad:
	@echo this is why && false
tested:
	@cp report.xml "$${PYTEST_ADDOPTS##*--junit-xml=}"
	@false
beside:
	@echo built beside && touch beside
broken-beside:
	@echo no room && false
needs:
	@test -e beside
"""

REPORT = '<testsuites><testsuite tests="5" skipped="1" failures="1" errors="0"/></testsuites>'


@pytest.fixture
def run(tmp_path: Path):  # type: ignore[no-untyped-def]
    (tmp_path / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    (tmp_path / "report.xml").write_text(REPORT, encoding="utf-8")

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPT), "--reports", str(tmp_path / "reports"), *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    return call


def test_phases_without_tests_count_as_one_each(run) -> None:
    done = run("good", "good")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "2 passed, 0 failed"
    assert "all is well" in done.stdout


def test_the_first_failure_ends_the_run_and_shows_why(run) -> None:
    done = run("bad", "good")
    assert done.returncode == 1
    assert "this is why" in done.stdout
    assert "all is well" not in done.stdout
    assert "not run" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed"


def test_tests_of_pytest_are_counted_without_the_skipped_ones(run) -> None:
    done = run("good", "tested")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "4 passed, 1 failed"


def test_a_phase_that_fails_although_its_tests_pass_is_a_failure(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite tests="3" failures="0" errors="0"/></testsuites>', encoding="utf-8")
    assert phases.count(report, 0) == (3, 0)
    assert phases.count(report, 2) == (3, 1)


def test_the_background_target_is_there_when_its_phase_starts(run) -> None:
    done = run("--background", "beside", "--before", "needs", "good", "needs")
    assert done.returncode == 0, done.stdout
    assert "(beside)" in done.stdout


def test_a_background_target_that_fails_shows_its_log_and_fails_the_run(run) -> None:
    done = run("--background", "broken-beside", "--before", "needs", "good", "needs")
    assert done.returncode == 1
    assert "no room" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 passed, 1 failed"


def test_the_variables_of_the_outer_make_do_not_reach_a_phase(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAKEFLAGS", "n")
    assert "MAKEFLAGS" not in phases.environment(tmp_path / "report.xml")
