# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DOCUMENTATION = r"""
name: stage_outcome
short_description: The outcome of a stage from what its task registered
version_added: 0.1.0
description:
  - Turns the registered result of M(tutorops.scale.store_stage), or of any other task that stands for a stage, into
    what M(tutorops.scale.store_report) takes, whether the task worked, failed or was never reached.
positional: _input
options:
  _input:
    description: The registered result.
    type: dict
    required: true
"""

EXAMPLES = r"""
outcome: "{{ follow | tutorops.scale.stage_outcome }}"
"""

RETURN = r"""
_value:
  description: A dictionary with C(ok), C(changed), C(error), C(started), C(ended) and C(result).
  type: dict
"""


def stage_outcome(registered: Mapping[str, Any]) -> dict[str, Any]:
    """What the report keeps of a task's result."""
    failed = bool(registered.get("failed") or registered.get("unreachable"))
    return {
        "ok": not failed and not registered.get("skipped", False),
        "changed": bool(registered.get("changed")),
        "error": str(registered.get("msg") or "the stage failed") if failed else None,
        "started": registered.get("started"),
        "ended": registered.get("ended"),
        "result": registered.get("result") or {},
    }


class FilterModule:
    """Filters of the collection about stages."""

    def filters(self) -> dict[str, Any]:
        return {"stage_outcome": stage_outcome}
