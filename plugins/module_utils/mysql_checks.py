# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to hold before a flip of MySQL is tried; each check refuses with what is wrong, and the cure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from . import mysql_channel as channels
from .mysql_channel import ChannelState
from .mysql_local import LocalEnd
from .mysql_member import MemberState
from .mysql_plan import LEAST_MEMBERS
from .mysql_sessions import NAMELESS, own_address
from .mysql_settings import MysqlSettings
from .paths import read_json
from .stores.base import End, StoreError


def refuse_open(end: End) -> None:
    """The end that follows takes no writes."""
    if not end.closed():
        raise StoreError(
            f"the {end.name} end of store mysql takes writes although it does not serve: find out who opened it, and "
            "compare both ends before anything else"
        )


def refuse_incomplete(states: Sequence[MemberState]) -> None:
    """The cluster is whole, and stands the loss of a member."""
    bad = [f"{one.name} ({one.state or one.error})" for one in states if one.state != "ONLINE"]
    if bad:
        raise StoreError(f"members of the cluster are not ONLINE: {', '.join(bad)}; bring them back, then try again")
    if len(states) < LEAST_MEMBERS:
        raise StoreError(
            f"the cluster has {len(states)} member(s), a failure of one needs {LEAST_MEMBERS}: add members"
        )


def refuse_lag(lag: Mapping[str, Any], state: ChannelState | None, end: str, settings: MysqlSettings) -> None:
    """The end that follows does so, and closely."""
    if state is None or not state.runs:
        raise StoreError(
            f"the {end} end of store mysql does not follow: {channels.trouble(state)}; run the same playbook again"
        )
    if lag["seconds"] > settings.limits.lag_seconds:
        raise StoreError(
            f"the {end} end of store mysql is {lag['transactions']} transaction(s), {lag['seconds']:.1f} s, behind: "
            "wait until it has caught up"
        )


def refuse_uncompared(settings: MysqlSettings, serving: str = "") -> None:
    """Both ends were found equal, not long ago, and where it is asked for, while that end served."""
    last = read_json(settings.state / "compare.json")
    if last is None or not last.get("equal") or (serving and last.get("serving") != serving):
        since = f" since the {serving} serves" if serving else ""
        raise StoreError(f"the ends of store mysql have not been found equal{since}: run the stage compare first")
    age = (datetime.now(timezone.utc) - datetime.fromisoformat(last["at"])).total_seconds()
    if age > settings.limits.comparison_seconds:
        raise StoreError(f"the last comparison of store mysql is {age / 3600:.0f} h old: run the stage compare again")


def refuse_bypass(local: LocalEnd, settings: MysqlSettings) -> None:
    """Nobody would be left behind."""
    edge = own_address(local.server)
    around = sorted(
        {
            f"{one.account} from {one.address}"
            for one in local.sessions()
            if one.address != edge and one.account != NAMELESS
        }
    )
    if around:
        raise StoreError(
            f"clients reach the MySQL container without the edge: {'; '.join(around)}; point them at "
            f"{settings.edge_address}, because they would be left behind"
        )
