# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the MongoDB store stands, read from the set itself."""

from __future__ import annotations

from typing import Any

from . import mongodb_config as configs
from .mongodb_local import LocalNode
from .mongodb_set import ReplicaSet
from .mongodb_settings import MongodbSettings
from .stores.base import CLUSTER, LOCAL, StoreError

_NEXT = {
    "attached": "run offload.yml: it lets the cluster follow",
    "following": "run offload.yml: it compares both ends and cuts over",
    "cutover": "watch the platform; rollback.yml goes back without loss, commit.yml ends that",
    "committed": "nothing; the old data directory is yours to remove",
}


def stands(settings: MongodbSettings, serving: str, local: LocalNode, members: ReplicaSet) -> dict[str, Any]:
    """Stage, members and roles, lag, way back, trouble, next steps."""
    names = {settings.local_host: LOCAL, **{member.host: member.name for member in settings.members}}
    states = {one.host: one for one in members.look()}
    config = members.kept_config()
    own = states[settings.local_host]
    told: dict[str, Any] = {
        "members": [
            {"name": names[host], "state": one.state or "UNREACHABLE", "version": one.version, "error": one.error}
            for host, one in states.items()
        ],
        "set": settings.set_name,
        "trouble": [],
        "lag": None,
        "prepared": serving == CLUSTER or own.in_set,
    }
    listed = configs.hosts(config) if config else []
    told["stage"] = _stage(settings, serving, own.in_set, listed)
    following = [host for host in listed if states.get(host) is not None and states[host].state == "SECONDARY"]
    try:
        told["lag"] = max(members.lags(following).values(), default=None)
        told["trouble"] += _trouble(config, serving, settings.local_host)
    except StoreError as problem:
        told["trouble"].append(str(problem))
    told["way_back"] = told["stage"] == "cutover" and own.state == "SECONDARY"
    told["next"] = _NEXT[told["stage"]]
    return told


def _stage(settings: MongodbSettings, serving: str, in_set: bool, listed: list[str]) -> str:
    if serving == CLUSTER:
        return "cutover" if settings.local_host in listed else "committed"
    others = [host for host in listed if host != settings.local_host]
    return "following" if in_set and others else "attached"


def _trouble(config: configs.Config | None, serving: str, local: str) -> list[str]:
    if config is None:
        return []
    odd = configs.differing(config, configs.at_rest(config, serving, local))
    return [f"votes and priorities are not as they have to be: {', '.join(odd)}"] if odd else []
