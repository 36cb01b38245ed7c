"""A run's report and its traffic, joined: figures of each store, worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from trafficlib.journey import joined
from trafficlib.records import Request


def at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def stage(name: str, start: float, end: float, changed: bool = True) -> dict[str, Any]:
    return {"stage": name, "started": at(start), "ended": at(end), "changed": changed}


def request(due: float, latency: float, status: int = 200) -> Request:
    return Request(int(due * 10), "page", "", "", due, due, due + latency, status)


def ledger(acknowledged: int, lost: int | None = 0, **others: Any) -> dict[str, Any]:
    return {"acknowledged": acknowledged, "lost": lost, "duplicated": 0, "dangling": 0, "failed": 0, **others}


def join(stages: dict[str, list[Any]], stores: dict[str, Any], requests: list[Request]) -> dict[str, Any]:
    run = {"run": "r", "stores": {name: {"stages": one, "bytes": 7} for name, one in stages.items()}}
    found: dict[str, Any] = joined(run, {"stores": stores, "traffic": {}, "ledger": {}}, requests)["stores"]
    return found


def test_a_store_has_what_all_of_its_ledgers_have() -> None:
    ledgers = {
        "redis": ledger(10, lost=1),
        "sessions": ledger(5, failed=2),
        "celery": ledger(7, lost=2),
        "gridfs": ledger(3, dangling=4),
        "mysql": ledger(100),
    }
    found = join({"redis": [], "mongodb": []}, ledgers, [])
    assert found["redis"] == {
        "bytes": 7,
        "acknowledged": 22,
        "lost": 3,
        "duplicated": 0,
        "dangling": 0,
        "failed": 2,
    }
    assert (found["mongodb"]["acknowledged"], found["mongodb"]["dangling"]) == (3, 4)


def test_what_could_not_be_told_of_a_part_cannot_be_told_of_the_whole() -> None:
    found = join({"redis": []}, {"redis": ledger(10), "sessions": ledger(5, lost=None)}, [])
    assert (found["redis"]["lost"], found["redis"]["acknowledged"]) == (None, 15)


def test_a_store_without_traffic_has_no_counts() -> None:
    assert join({"redis": []}, {"mysql": ledger(1)}, []) == {"redis": {"bytes": 7}}


def test_the_longest_stall_of_a_stage_is_that_of_requests_that_were_due_in_it() -> None:
    requests = [request(95.0, 9.0), request(100.0, 1.5), request(101.0, 0.2, 502), request(103.5, 8.0)]
    found = join({"redis": [stage("cutover", 100, 103)]}, {}, requests)["redis"]
    assert (found["cutover_longest_stall_seconds"], found["cutover_failed_requests"]) == (1.5, 1)


def test_a_request_on_its_way_when_the_stage_began_counts() -> None:
    found = join({"redis": [stage("cutover", 100, 103)]}, {}, [request(99.8, 2.5)])["redis"]
    assert found["cutover_longest_stall_seconds"] == 2.5


def test_of_several_flips_the_worst_counts_and_a_stage_that_changed_nothing_does_not() -> None:
    stages = [stage("cutover", 100, 101), stage("cutover", 200, 201), stage("cutover", 300, 301, changed=False)]
    requests = [request(100.5, 0.7, 502), request(200.5, 1.2), request(200.6, 0.1, 502), request(300.5, 30.0)]
    found = join({"redis": stages}, {}, requests)["redis"]
    assert (found["cutover_longest_stall_seconds"], found["cutover_failed_requests"]) == (1.2, 2)


def test_the_one_restart_has_figures_of_its_own() -> None:
    stages = [stage("prepare", 50, 58), stage("follow", 60, 90), stage("cutover", 100, 101)]
    requests = [request(52.0, 3.25), request(70.0, 12.0), request(100.5, 0.5)]
    found = join({"mongodb": stages}, {}, requests)["mongodb"]
    assert found["restart_longest_stall_seconds"] == 3.25
    assert found["cutover_longest_stall_seconds"] == 0.5
    assert "follow_longest_stall_seconds" not in found
