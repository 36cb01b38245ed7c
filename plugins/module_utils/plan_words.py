# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the plans of all stores put things: sizes, lists, and blockers first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .stores.base import Finding

_SHOWN = 8
_ORDER = {"blocker": 0, "warning": 1, "info": 2}


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
