"""From records and accounts to the figures of traffic.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from math import ceil
from typing import Any

from .audit import Account, total
from .records import Mark, Request, Run


def summarize(
    run: Run, requests: Sequence[Request], marks: Sequence[Mark], accounts: Mapping[str, Account] | None
) -> dict[str, Any]:
    """The result of a run; without accounts it is one that was not audited yet."""
    until = max((max(one.started, one.ended or 0.0) for one in requests), default=run.started)
    of_stores = {store: [one for one in requests if one.store == store] for store in run.stores}
    return {
        "run": {**asdict(run), "ended": until},
        "traffic": figures(requests, until),
        "ledger": None if accounts is None else asdict(total(accounts.values())),
        "stores": {
            store: {**figures(of_stores[store], until), **({} if accounts is None else asdict(accounts[store]))}
            for store in run.stores
        },
        "intervals": _intervals(run, requests, marks, until),
    }


def due_between(requests: Sequence[Request], start: float, end: float) -> dict[str, Any]:
    """Figures of the requests that were due from ``start`` to ``end``, whenever they were answered."""
    until = max((one.ended or one.started for one in requests), default=end)
    return figures([one for one in requests if start <= one.scheduled <= end], until)


def good(result: Mapping[str, Any]) -> bool:
    """Whether an audited run had no failed request, lost and duplicated nothing, and left no row without its rest."""
    ledger = result["ledger"]
    flaws = ("lost", "duplicated", "dangling", "audit_error")
    return bool(ledger) and not (result["traffic"]["failed"] or any(ledger[flaw] for flaw in flaws))


def figures(requests: Sequence[Request], until: float) -> dict[str, Any]:
    """How some requests fared, seen from the one who made them."""
    over = [one for one in requests if one.ended is not None]
    latencies = sorted(one.latency(until) for one in over)
    return {
        "requests": len(over),
        "failed": sum(one.failed for one in over),
        # Sent, but the client died before it knew the outcome; they count as stalls until then.
        "unfinished": len(requests) - len(over),
        "longest_stall_seconds": round(max((one.latency(until) for one in requests), default=0.0), 3),
        "longest_gap_seconds": round(_longest_gap(requests, until), 3),
        "p50_ms": _percentile(latencies, 0.50),
        "p99_ms": _percentile(latencies, 0.99),
        # How late the client itself was: a large one means that this machine was too busy to tell.
        "client_delay_seconds": round(max((one.started - one.scheduled for one in requests), default=0.0), 3),
        "failures": dict(Counter(one.error or f"status {one.status}" for one in over if one.failed).most_common()),
    }


def _longest_gap(requests: Sequence[Request], until: float) -> float:
    """The longest time in which no request succeeded, from the first arrival to the end of the last request."""
    if not requests:
        return 0.0
    last = max(one.ended or until for one in requests)
    successes = sorted(one.ended for one in requests if one.ended is not None and one.succeeded)
    moments = [min(one.scheduled for one in requests), *successes, last]
    return max(later - earlier for earlier, later in pairwise(moments))


def _percentile(ordered: Sequence[float], part: float) -> float:
    """The nearest rank, in milliseconds."""
    if not ordered:
        return 0.0
    return round(ordered[ceil(part * len(ordered)) - 1] * 1000, 1)


def _intervals(run: Run, requests: Sequence[Request], marks: Sequence[Mark], until: float) -> list[dict[str, Any]]:
    """Figures from each mark to the next; a request belongs where it was due."""
    starts = [Mark(run.started, "start"), *marks]
    ends = [mark.time for mark in marks] + [float("inf")]
    return [
        {
            "label": mark.label,
            "started": mark.time,
            "ended": min(end, max(until, mark.time)),
            **figures([one for one in requests if mark.time <= one.scheduled < end], until),
        }
        for mark, end in zip(starts, ends, strict=True)
    ]
