"""The result of a run as a table to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_TRAFFIC = ("requests", "failed", "stall s", "gap s", "p50 ms", "p99 ms")
_LEDGER = ("acknowledged", "lost", "duplicated")


def render(result: Mapping[str, Any]) -> str:
    """A table of all traffic and of each store, one of the intervals between marks, and what went wrong."""
    lines = {"all": {**result["traffic"], **(result["ledger"] or {})}, **result["stores"]}
    parts = [_grid(("", *_TRAFFIC, *_LEDGER), [[name, *_traffic(one), *_ledger(one)] for name, one in lines.items()])]
    if len(result["intervals"]) > 1:
        rows = [[one["label"], f"{one['ended'] - one['started']:.1f}", *_traffic(one)] for one in result["intervals"]]
        parts.append(_grid(("from", "seconds", *_TRAFFIC), rows))
    remarks = list(_remarks(result))
    return "\n\n".join([*parts, "\n".join(remarks)] if remarks else parts)


def _traffic(figures: Mapping[str, Any]) -> list[str]:
    return [
        f"{figures['requests']:,}",
        f"{figures['failed']:,}",
        f"{figures['longest_stall_seconds']:.3f}",
        f"{figures['longest_gap_seconds']:.3f}",
        f"{figures['p50_ms']:.1f}",
        f"{figures['p99_ms']:.1f}",
    ]


def _ledger(account: Mapping[str, Any]) -> list[str]:
    counts = (account.get(name) for name in _LEDGER)
    return ["-" if count is None else f"{count:,}" for count in counts]


def _remarks(result: Mapping[str, Any]) -> list[str]:
    traffic, ledger = result["traffic"], result["ledger"]
    remarks = []
    if traffic["failures"]:
        failures = ", ".join(f"{count:,} {reason}" for reason, count in traffic["failures"].items())
        remarks.append(f"Failed requests: {failures}.")
    if traffic["unfinished"]:
        remarks.append(f"{traffic['unfinished']:,} requests were in flight when the client ended.")
    if traffic["client_delay_seconds"] > 0.1:
        remarks.append(
            f"This machine sent requests up to {traffic['client_delay_seconds']:.1f} s late: it was busy, "
            "and the stalls contain that."
        )
    if ledger is None:
        return [*remarks, "The ledger was not audited yet."]
    if ledger["unknown"] or ledger["foreign"]:
        remarks.append(
            f"Writes never answered: {ledger['unknown']:,}; present although refused: {ledger['foreign']:,}."
        )
    for name, one in result["stores"].items():
        for what in ("lost", "duplicated", "dangling"):
            if keys := one[f"{what}_keys"]:
                remarks.append(f"{what.capitalize()} in {name}: {', '.join(keys[:5])}{' ...' if keys[5:] else ''}")
        if one["audit_error"]:
            remarks.append(f"Not audited: {one['audit_error']}.")
    return remarks


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = []
    for first, *others in [head, *rows]:
        cells = (text.rjust(width) for text, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)
