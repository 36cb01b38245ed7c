"""What learners noticed of a run of the product, store by store: its report joined with the traffic's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .records import Request
from .summary import due_between

#: Which ledgers a store of the product holds. A course is in two stores at once; what it loses, it loses in MongoDB.
LEDGERS = {
    "mysql": ("mysql", "notes"),
    "mongodb": ("mongodb", "gridfs", "course"),
    "redis": ("redis", "sessions", "celery", "events"),
}
#: Stages in which something of a store is held, and what their name is in the figures.
HOLDING = {"prepare": "restart", "cutover": "cutover", "rollback": "rollback"}
#: Counts of a ledger that are sums over its parts; None when one of them could not be told.
COUNTS = ("acknowledged", "lost", "duplicated", "dangling", "failed")
#: A request that was due just before a hold began may have met it on its way.
_EARLY_SECONDS = 0.5


def joined(run: Mapping[str, Any], traffic: Mapping[str, Any], requests: Sequence[Request]) -> dict[str, Any]:
    """One report: what each store's stages took, and what came of the learners' requests and writes meanwhile."""
    stores = {
        name: {
            **{key: value for key, value in one.items() if key != "stages"},
            **_ledger(name, traffic.get("stores", {})),
            **_noticed(one["stages"], requests),
        }
        for name, one in run["stores"].items()
    }
    return {"stores": stores, "traffic": traffic["traffic"], "ledger": traffic["ledger"], "run": run.get("run")}


def _ledger(name: str, ledgers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    parts = [ledgers[part] for part in LEDGERS.get(name, (name,)) if part in ledgers]
    return {count: _sum([part.get(count) for part in parts]) for count in COUNTS} if parts else {}


def _sum(counts: Sequence[int | None]) -> int | None:
    return None if None in counts else sum(count for count in counts if count is not None)


def _noticed(stages: Sequence[Mapping[str, Any]], requests: Sequence[Request]) -> dict[str, Any]:
    """The longest that any request waited that was due in a stage that changed something, and how many failed."""
    found: dict[str, Any] = {}
    for line in stages:
        name = HOLDING.get(line["stage"])
        if name and line["changed"] and line["started"] and line["ended"]:
            start, end = (datetime.fromisoformat(line[key]).timestamp() for key in ("started", "ended"))
            figures = due_between(requests, start - _EARLY_SECONDS, end)
            stall, failed = figures["longest_stall_seconds"], figures["failed"]
            found[f"{name}_longest_stall_seconds"] = max(stall, found.get(f"{name}_longest_stall_seconds", 0.0))
            found[f"{name}_failed_requests"] = failed + found.get(f"{name}_failed_requests", 0)
    return found
