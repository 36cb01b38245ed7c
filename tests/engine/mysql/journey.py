# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps of a store's journey over real servers, with what has to hold after each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import cutover
from ansible_collections.tutorops.scale.plugins.module_utils.cutover import Limits
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import CLUSTER, LOCAL, StoreError
from ansible_collections.tutorops.scale.plugins.module_utils.stores.mysql import MysqlStore
from relay import RelayDoor
from servers import Site
from writer import Writer

LIMITS = Limits(hold_seconds=8.0, idle_seconds=2.0)


class Told:
    """Keeps what a stage told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, phase: str, figures: dict[str, Any]) -> None:
        if not self.lines or self.lines[-1][0] != phase:
            print(f"{time.strftime('%X')} {phase}")
        self.lines.append((phase, figures))

    def of(self, phase: str) -> list[dict[str, Any]]:
        return [figures for one, figures in self.lines if one == phase]


def fails_when_a_member_is_killed(
    site: Site, store: MysqlStore, door: RelayDoor, when: Callable[[dict[str, Any]], object], said: str
) -> None:
    """Kill the first member in its copy: that fails with a sentence, and the platform notices nothing."""
    killed: list[dict[str, Any]] = []

    def kill(phase: str, figures: dict[str, Any]) -> None:
        if phase == "copy" and when(figures) and not killed:
            site.kill("one")
            killed.append(figures)

    with Writer(door.port) as writer, pytest.raises(StoreError, match=said):
        store.follow(kill)
    assert killed
    assert writer.failed == []


def compared(store: MysqlStore, told: Told | None = None) -> Any:
    """Compare, and keep the outcome as the runner does."""
    serving = store.door.pointer()
    outcome = store.compare(told or Told())
    now = datetime.now(timezone.utc).isoformat()
    path = Path(store.settings.state) / "compare.json"
    path.write_text(json.dumps({**outcome.as_dict(), "serving": serving, "at": now}))
    return outcome


def flip(store: MysqlStore, taking: str) -> cutover.Flip:
    ends = {LOCAL: store.local, CLUSTER: store.cluster}
    ends_of = (ends[cutover.other(taking)], ends[taking])
    store.ready()
    done = cutover.flip(*ends_of, store.door, LIMITS)
    print(f"\nflip to {taking}: held {done.hold_seconds * 1000:.0f} ms, {done.steps}, {done.problem}")
    return done


def writes_survive(site: Site, store: MysqlStore, door: RelayDoor, taking: str) -> None:
    with Writer(door.port) as writer:
        time.sleep(1)
        done = flip(store, taking)
        time.sleep(1)
    print(f"longest write {writer.longest:.3f} s, {len(writer.acknowledged)} acknowledged, {len(writer.failed)} failed")
    assert done.serving == taking and done.problem == ""
    assert writer.failed == []
    end = {LOCAL: store.local, CLUSTER: store.cluster}[taking]
    other = {LOCAL: store.cluster, CLUSTER: store.local}[taking]
    assert writer.audit(end.dial(10)) == ([], [])
    assert other.closed() and not end.closed()
    other.reach(end.position(), 10)
    assert writer.audit(other.dial(10)) == ([], [])
