# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to hold before a flip of MySQL, beside flip_checks.py; each check says what is wrong, and the cure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import mysql_channel as channels
from .flip_checks import refuse_few
from .mysql_channel import ChannelState
from .mysql_local import LocalEnd
from .mysql_member import MemberState
from .mysql_sessions import NAMELESS, own_address
from .mysql_settings import MysqlSettings
from .stores.base import StoreError


def refuse_incomplete(states: Sequence[MemberState]) -> None:
    """The cluster is whole, and stands the loss of a member."""
    bad = [f"{one.name} ({one.state or one.error})" for one in states if one.state != "ONLINE"]
    if bad:
        raise StoreError(f"members of the cluster are not ONLINE: {', '.join(bad)}; bring them back, then try again")
    refuse_few(len(states))


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
