"""The figures of made-up records, worked out by hand."""

from __future__ import annotations

from trafficlib.audit import Account
from trafficlib.records import Mark, Request, Run
from trafficlib.summary import figures, good, summarize
from trafficlib.table import render

RUN = Run("target", 1.0, ("mysql",), 65.0, "x-", 100.0)


def request(due: float, latency: float | None, status: int | None = 200, late: float = 0.0) -> Request:
    ended = None if latency is None else due + latency
    return Request(int(due * 10), "page", "", "", due, due + late, ended, status, None if status else "timed out")


def test_percentiles_are_the_nearest_rank() -> None:
    found = figures([request(number, number / 1000) for number in range(1, 101)], 101.0)
    assert (found["p50_ms"], found["p99_ms"], found["longest_stall_seconds"]) == (50.0, 99.0, 0.1)


def test_a_single_request_is_every_percentile() -> None:
    found = figures([request(1.0, 0.25)], 2.0)
    assert (found["p50_ms"], found["p99_ms"], found["longest_gap_seconds"]) == (250.0, 250.0, 0.25)


def test_the_gap_is_between_successes_wherever_it_lies() -> None:
    beginning = [request(0.0, 0.1, None), request(3.0, 0.5), request(4.0, 0.1)]
    middle = [request(0.0, 0.1), request(1.0, 0.1, 502), request(4.0, 0.1)]
    end = [request(0.0, 0.1), request(1.0, 6.0, None)]
    assert [figures(one, 10.0)["longest_gap_seconds"] for one in (beginning, middle, end)] == [3.5, 4.0, 6.9]


def test_what_never_ended_stalls_until_the_end_of_the_records() -> None:
    found = figures([request(0.0, 0.1), request(1.0, None, None)], 9.0)
    assert (found["requests"], found["failed"], found["unfinished"]) == (1, 0, 1)
    assert (found["longest_stall_seconds"], found["longest_gap_seconds"]) == (8.0, 8.9)


def test_a_late_client_is_told_apart() -> None:
    assert figures([request(0.0, 0.7, late=0.5)], 1.0)["client_delay_seconds"] == 0.5


def test_nothing_at_all() -> None:
    found = figures([], 0.0)
    assert {value for key, value in found.items() if key != "failures"} == {0}


def test_a_request_belongs_to_the_interval_in_which_it_was_due() -> None:
    requests = [request(101.0, 0.1), request(105.0, 8.0), request(111.0, 0.2, 502)]
    result = summarize(RUN, requests, [Mark(104.0, "cutover"), Mark(110.0, "after it")], None)
    found = [
        (one["label"], one["requests"], one["failed"], one["longest_stall_seconds"]) for one in result["intervals"]
    ]
    assert found == [("start", 1, 0, 0.1), ("cutover", 1, 0, 8.0), ("after it", 1, 1, 0.2)]
    assert [(one["started"], one["ended"]) for one in result["intervals"]] == [(100, 104), (104, 110), (110, 113)]


def test_only_an_audited_run_without_a_flaw_is_good() -> None:
    def verdict(status: int = 200, account: Account | None = None) -> bool:
        return good(summarize(RUN, [request(101.0, 0.1, status)], [], {"mysql": account} if account else None))

    assert verdict(account=Account(acknowledged=1, unknown=1, foreign=1))
    assert not verdict()
    assert not verdict(502, Account())
    assert not verdict(account=Account(lost=1))
    assert not verdict(account=Account(duplicated=1))
    assert not verdict(account=Account(audit_error="why"))


def test_the_table_lines_up() -> None:
    result = summarize(RUN, [request(101.0, 0.1)], [], {"mysql": Account(acknowledged=1234)})
    head, *lines = render(result).splitlines()
    assert [line.split()[0] for line in lines] == ["all", "mysql"]
    assert len({len(line) for line in [head, *lines]}) == 1
    assert "1,234" in lines[0]
