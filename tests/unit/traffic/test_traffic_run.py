"""A run reports what the platform did to it: nothing where it behaves, and each way of misbehaving by its name."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import traffic
from fake_platform import Call, FakePlatform, Fault, Misbehave
from trafficlib.load import Load
from trafficlib.mix import DEFAULT_STORES, LMS, NOTES, STUDIO
from trafficlib.records import Records, Run
from trafficlib.summary import summarize


def run(platform: FakePlatform, output: Path, *options: str, seconds: float = 0.25) -> tuple[int, dict[str, Any]]:
    """Run the client at 400 requests a second; the exit code and traffic.json."""
    where = ["--target", platform.target, "--output", str(output)]
    how = ["--rate", "400", "--seconds", str(seconds), "--patience", "0.1"]
    code = traffic.main(["run", *where, *how, *options])
    return code, json.loads((output / "traffic.json").read_text())


def some(method: str, fault: Fault, part: str = "/ledger/mysql") -> Misbehave:
    """Every fifth request of a method to a path misbehaves, the first one included: which are sent is chance."""
    asked = itertools.count()

    def misbehave(call: Call, number: int) -> Fault | None:
        return fault if call.method == method and part in call.path and next(asked) % 5 == 0 else None

    return misbehave


def test_a_platform_that_behaves(tmp_path: Path) -> None:
    with FakePlatform() as platform:
        code, result = run(platform, tmp_path)
    figures, ledger = result["traffic"], result["ledger"]
    assert code == 0
    assert figures["requests"] == 100
    assert figures["failed"] == figures["unfinished"] == 0
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["longest_stall_seconds"] * 1000 + 1
    assert ledger["acknowledged"] == len(platform.posted()) > 20
    flaws = ("lost", "duplicated", "dangling", "unknown", "foreign")
    assert [ledger[flaw] for flaw in flaws] == [0, 0, 0, 0, 0]
    assert set(result["stores"]) == set(DEFAULT_STORES)
    assert sum(one["acknowledged"] for one in result["stores"].values()) == ledger["acknowledged"]
    assert {call.host for call in platform.calls} == {LMS, STUDIO, NOTES}
    assert {call.host for call in platform.calls if "/ledger/notes" in call.path} == {NOTES}


def test_only_the_stores_that_were_named(tmp_path: Path) -> None:
    with FakePlatform() as platform:
        code, result = run(platform, tmp_path, "--stores", "mysql,search")
    assert code == 0
    assert list(result["stores"]) == ["mysql", "search"]
    assert {call.path.split("/")[2].partition("?")[0] for call in platform.calls if "/ledger" in call.path} == {
        "mysql",
        "search",
    }


def test_two_runs_share_no_key(tmp_path: Path) -> None:
    with FakePlatform() as platform:
        for name in ("one", "two"):
            assert run(platform, tmp_path / name, "--stores", "mysql", seconds=0.1)[0] == 0
    assert len(set(platform.posted())) == len(platform.posted())


@pytest.mark.parametrize(
    ("method", "fault", "found"),
    [
        ("POST", Fault.LOSE, {"lost"}),
        ("POST", Fault.DUPLICATE, {"duplicated"}),
        ("POST", Fault.REFUSE, {"failed"}),
        ("POST", Fault.KEEP_AND_REFUSE, {"failed", "foreign"}),
        ("POST", Fault.RESET, {"failed", "unknown"}),
        ("POST", Fault.KEEP_AND_RESET, {"failed", "unknown"}),
        ("POST", Fault.CUT_SHORT, {"failed", "unknown"}),
        ("POST", Fault.HANG, {"failed", "unknown"}),
        ("GET", Fault.REFUSE, {"failed"}),
        ("GET", Fault.MISS, {"failed"}),
        ("GET", Fault.HANG, {"failed"}),
    ],
)
def test_each_fault_is_reported_and_no_other(tmp_path: Path, method: str, fault: Fault, found: set[str]) -> None:
    # Reads of keys ("/ledger/mysql/..."), not the audit ("/ledger/mysql?prefix=").
    part = "/ledger/mysql?key" if method == "POST" else "/ledger/mysql/"
    misbehave = some(method, fault, part)
    with FakePlatform(misbehave) as platform:
        code, result = run(
            platform, tmp_path, "--stores", "mysql", "--timeout", "1" if fault is Fault.HANG else "20", seconds=0.15
        )
    reported = {**result["traffic"], **result["ledger"]}
    # A lost write is noticed at once where it is read back.
    names = ["duplicated", "lost", "unknown", "foreign"] + (["failed"] if fault is not Fault.LOSE else [])
    assert code == 1
    assert {name for name in names if reported[name]} == found
    assert all(reported[name] == len(platform.faulted) for name in found)
    assert max(Counter(platform.posted()).values()) == 1, "a write was sent again"


def test_a_login_is_shown_by_its_own_cookie_only(tmp_path: Path) -> None:
    with FakePlatform() as platform:
        code, result = run(platform, tmp_path, "--stores", "sessions,mysql")
    asked = [call for call in platform.calls if call.path.startswith("/ledger/sessions/")]
    assert code == 0
    assert len(asked) > result["stores"]["sessions"]["acknowledged"] > 0
    assert all(call.cookie == platform.cookie(f"?key={call.path.rpartition('/')[2]}") for call in asked)
    assert {call.cookie for call in platform.calls if "/ledger/mysql" in call.path} == {""}


@pytest.mark.parametrize("part", ["/ledger/sessions?key", "/ledger/sessions/"])
def test_a_learner_who_is_logged_out_is_noticed(tmp_path: Path, part: str) -> None:
    """Either the session was never kept, or it is gone when the learner comes back."""
    method, fault = ("POST", Fault.LOSE) if "?" in part else ("GET", Fault.MISTAKE)
    with FakePlatform(lambda call, number: fault if call.method == method and part in call.path else None) as platform:
        code, result = run(platform, tmp_path, "--stores", "sessions")
    sessions = result["stores"]["sessions"]
    assert code == 1
    assert sessions["lost"] == sessions["acknowledged"] > 0
    assert result["traffic"]["failures"].keys() == {"status 401"}


def test_logins_of_a_run_that_was_killed_are_audited_by_the_cookies_in_its_records(tmp_path: Path) -> None:
    with FakePlatform() as platform:
        run(platform, tmp_path, "--stores", "sessions")
        assert traffic.main(["audit", "--output", str(tmp_path), "--patience", "0.1"]) == 0
        logged_out = next(iter(platform.rows["sessions"]))
        del platform.rows["sessions"][logged_out]
        assert traffic.main(["audit", "--output", str(tmp_path), "--patience", "0.1"]) == 1
    assert json.loads((tmp_path / "traffic.json").read_text())["ledger"]["lost_keys"] == [logged_out]


def test_a_row_without_its_structure_is_noticed_by_readers_and_by_the_audit(tmp_path: Path) -> None:
    first = some("POST", Fault.DANGLE, "/ledger/course?key")
    with FakePlatform(first) as platform:
        code, result = run(platform, tmp_path, "--stores", "course", seconds=1.0)
    course = result["stores"]["course"]
    assert code == 1
    assert course["dangling_keys"] == course["lost_keys"] == sorted(platform.dangling)
    assert result["ledger"]["dangling"] == course["dangling"] == len(platform.dangling) > 0
    assert result["traffic"]["failures"].keys() <= {"status 409", "status 500"}
    assert result["traffic"]["failures"]["status 409"] > 0


def test_a_row_of_somebody_else_that_dangles_is_enough_to_fail(tmp_path: Path) -> None:
    with FakePlatform() as platform:
        run(platform, tmp_path, "--stores", "course")
        platform.dangling.append("a course of last year")
        assert traffic.main(["audit", "--output", str(tmp_path), "--patience", "0.1"]) == 1
    ledger = json.loads((tmp_path / "traffic.json").read_text())["ledger"]
    assert (ledger["lost"], ledger["dangling_keys"]) == (0, ["a course of last year"])


def test_rows_that_cannot_be_looked_at_are_no_success(tmp_path: Path) -> None:
    with FakePlatform(lambda call, number: Fault.REFUSE if "?all" in call.path else None) as platform:
        code, result = run(platform, tmp_path, "--stores", "course")
    assert code == 1
    assert result["ledger"]["audit_error"] == "the ledger of course could not be read: answered 502"
    assert result["ledger"]["dangling"] is None


def test_a_task_that_ran_twice_is_noticed(tmp_path: Path) -> None:
    with FakePlatform(some("POST", Fault.DUPLICATE, "/ledger/celery?key")) as platform:
        code, result = run(platform, tmp_path, "--stores", "celery")
    assert code == 1
    assert result["ledger"]["duplicated"] == len(platform.faulted) > 0
    assert result["ledger"]["lost"] == result["traffic"]["failed"] == 0


def test_failures_are_named(tmp_path: Path) -> None:
    faults = {1: Fault.REFUSE, 2: Fault.RESET, 3: Fault.HANG, 4: Fault.CUT_SHORT}
    with FakePlatform(lambda call, number: faults.get(number) if call.method == "POST" else None) as platform:
        # Few at a time, so that on a busy machine only the one that hangs takes so long.
        _, result = run(platform, tmp_path, "--timeout", "2", "--rate", "100")
    failures = result["traffic"]["failures"]
    assert failures["status 502"] == failures["timed out"] == 1
    assert failures["cut short"] == 2  # Closed before, or amid, its answer.


def test_nobody_listens(tmp_path: Path) -> None:
    with FakePlatform() as platform:
        pass
    code, result = run(platform, tmp_path, seconds=0.1)
    assert code == 1
    assert result["traffic"]["failures"] == {"refused": 40}
    assert "refused" in result["ledger"]["audit_error"]


def test_a_read_that_misses_an_acknowledged_write_fails(tmp_path: Path) -> None:
    with FakePlatform(some("POST", Fault.LOSE)) as platform:
        _, result = run(platform, tmp_path, "--stores", "mysql")
    assert result["traffic"]["failures"].keys() == {"status 404"}


def test_arrivals_do_not_wait_for_a_stalled_platform(tmp_path: Path) -> None:
    with FakePlatform() as platform:
        moments: list[float] = []

        def stall() -> None:
            moments.append(time.monotonic())
            platform.stall(1.0)

        timer = threading.Timer(0.2, stall)
        timer.start()
        code, result = run(platform, tmp_path, "--rate", "200", seconds=1.5)
    arrivals = [call for call in platform.calls if moments[0] + 0.05 < call.time < moments[0] + 0.95]
    assert code == 0
    assert len(arrivals) > 100, "of 180 that were due"
    assert result["traffic"]["requests"] == 300
    assert 0.9 < result["traffic"]["longest_stall_seconds"] < 3
    assert 0.9 < result["traffic"]["longest_gap_seconds"] < 3
    # About 200 requests of 300 waited, half a second on average.
    assert result["traffic"]["p50_ms"] > 100


def test_latency_counts_from_when_a_request_was_due(tmp_path: Path) -> None:
    records = Records(tmp_path)

    async def freeze(target: str) -> None:
        """Block the whole client for a while, so that it sends late."""
        records.begin(Run(target, 100.0, ("mysql",), 5.0, "x-", time.time()))
        asyncio.get_running_loop().call_later(0.1, time.sleep, 0.5)
        with records.journal() as journal:
            await Load(records.run(), journal).send(0.8)

    with FakePlatform() as platform:
        asyncio.run(freeze(platform.target))
    result = summarize(records.run(), records.requests(), [], None)
    assert result["traffic"]["requests"] == 80
    assert result["traffic"]["longest_stall_seconds"] > 0.45
    assert result["traffic"]["client_delay_seconds"] > 0.45


def test_the_audit_waits_for_queued_tasks(tmp_path: Path) -> None:
    with FakePlatform(task_seconds=0.5) as platform:
        code, result = run(platform, tmp_path, "--stores", "celery", "--patience", "5")
    assert code == 0
    assert result["ledger"]["acknowledged"] == len(platform.posted())


def test_tasks_that_are_never_worked_off_are_lost(tmp_path: Path) -> None:
    with FakePlatform(task_seconds=60.0) as platform:
        code, result = run(platform, tmp_path, "--stores", "celery,mysql")
    assert code == 1
    assert result["stores"]["celery"]["lost"] == result["stores"]["celery"]["acknowledged"] > 0
    assert result["stores"]["mysql"]["lost"] == 0


def test_the_audit_waits_for_a_platform_that_comes_back(tmp_path: Path) -> None:
    refusals = iter([Fault.REFUSE])

    def refuse_first_audit(call: Call, number: int) -> Fault | None:
        return next(refusals, None) if "?prefix" in call.path else None

    with FakePlatform(refuse_first_audit) as platform:
        code, result = run(platform, tmp_path, "--stores", "mysql", "--patience", "5")
    assert code == 0
    assert result["ledger"]["audit_error"] is None


def test_a_ledger_that_cannot_be_read_is_no_success(tmp_path: Path) -> None:
    with FakePlatform(lambda call, number: Fault.REFUSE if "?prefix" in call.path else None) as platform:
        code, result = run(platform, tmp_path, "--stores", "mysql")
    assert code == 1
    assert result["ledger"]["audit_error"] == "the ledger of mysql could not be read: answered 502"
    assert result["traffic"]["failed"] == 0
    assert result["ledger"]["lost"] is result["ledger"]["duplicated"] is result["stores"]["mysql"]["lost"] is None
