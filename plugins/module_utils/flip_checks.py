# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to hold before a flip of any store is tried; each check refuses with what is wrong, and the cure."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from .paths import read_json
from .stores.base import LEAST_MEMBERS, End, StoreError


def refuse_open(store: str, end: End) -> None:
    """The end that follows takes no writes."""
    if not end.closed():
        raise StoreError(
            f"the {end.name} end of store {store} takes writes although it does not serve: find out who opened it, and "
            "compare both ends before anything else"
        )


def refuse_few(count: int) -> None:
    """The cluster stands the loss of a member."""
    if count < LEAST_MEMBERS:
        raise StoreError(f"the cluster has {count} member(s), a failure of one needs {LEAST_MEMBERS}: add members")


def refuse_uncompared(store: str, state: Path, seconds: float, serving: str = "") -> None:
    """Both ends were found equal at most so many seconds ago, and where it is asked for, while that end served."""
    last = read_json(state / "compare.json")
    if last is None or not last.get("equal") or (serving and last.get("serving") != serving):
        since = f" since the {serving} serves" if serving else ""
        raise StoreError(f"the ends of store {store} have not been found equal{since}: run the stage compare first")
    age = (datetime.now(timezone.utc) - datetime.fromisoformat(last["at"])).total_seconds()
    if age > seconds:
        raise StoreError(f"the last comparison of store {store} is {age / 3600:.0f} h old: run the stage compare again")
