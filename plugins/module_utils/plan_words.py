# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plans of all stores say alike: estimates, members that are too few or too small, sizes and lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .stores.base import LEAST_MEMBERS, Finding, blocker

_SHOWN = 8
_ORDER = {"blocker": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Estimate:
    """What a move would take."""

    bytes: int
    follow_seconds: int
    stall_seconds: float
    way: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Findings, blockers first."""
    return sorted(findings, key=lambda one: _ORDER[one.severity])


def few(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def size(number: int) -> str:
    """Bytes in a unit that is read easily."""
    value = float(number)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def judge_count(store: str, count: int, cure: str) -> Iterator[Finding]:
    """Members that are too few."""
    if count < LEAST_MEMBERS:
        yield blocker(f"{store}.members.count", "cluster", f"{count} member(s) cannot stand the failure of one", cure)


def judge_evenness(store: str, count: int) -> Iterator[Finding]:
    """Members of which one does nothing for the majority."""
    if count % 2 == 0:
        message = f"{count} members stand no more failures than {count - 1}"
        yield Finding(f"{store}.members.count", "warning", "cluster", message, "take an odd number")


def judge_port(store: str, host: str, port: int, process: str | None, variable: str) -> Iterator[Finding]:
    """A port of a member that somebody else listens on."""
    if process:
        yield blocker(f"{store}.port", host, f"port {port} is taken by {process}", f"stop it, or set {variable}")


def judge_space(store: str, member: Mapping[str, Any], needed: int) -> Iterator[Finding]:
    """A member whose disk is too small."""
    free = member.get("data_dir_bytes_free")
    if free is not None and int(free) < needed:
        yield blocker(
            f"{store}.space",
            member["host"],
            f"{size(int(free))} are free for the data, {size(needed)} are needed",
            f"make room, or set {store}_data_dir to a larger disk",
        )
