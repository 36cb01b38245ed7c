# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters for what plans say, to be read by a person and by a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_ORDER = {"blocker": 0, "warning": 1, "info": 2}


def store_members(found: Iterable[Mapping[str, Any]], port: int) -> list[dict[str, Any]]:
    """The members of a cluster as the edge and a driver name them, out of what was read on each host."""
    return [{"name": one["host"], "address": one["address"], "port": int(port)} for one in found]


def plan_lines(plans: Iterable[Mapping[str, Any]], blockers: bool = False) -> list[str]:
    """One line a finding, what blocks first; with ``blockers`` nothing else."""
    lines = []
    for plan in plans:
        for finding in sorted(plan.get("findings") or [], key=lambda one: _ORDER.get(one["severity"], 9)):
            if blockers and finding["severity"] != "blocker":
                continue
            cure = f": {finding['cure']}" if finding.get("cure") else ""
            subject = f" ({finding['subject']})" if finding.get("subject") else ""
            lines.append(f"{finding['severity'].upper()} {finding['id']}{subject}: {finding['message']}{cure}.")
    return lines


def plan_document(plans: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What is saved of a plan: per store its findings, what blocks, and what it is going to take."""
    return {
        "stores": {
            plan["offload_store"]: {
                "blocked": bool(plan.get("blocked")),
                "estimate": plan.get("estimate") or {},
                "findings": plan.get("findings") or [],
            }
            for plan in plans
        }
    }


class FilterModule:
    """Filters of the collection about plans."""

    def filters(self) -> dict[str, Any]:
        return {"store_members": store_members, "plan_lines": plan_lines, "plan_document": plan_document}
