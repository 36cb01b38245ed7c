# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the store stands, for an operator."""

from __future__ import annotations

from typing import Any

from .redis_cluster import ClusterEnd
from .redis_info import Replication, series
from .redis_local import LocalEnd
from .redis_source import RedisSource
from .stores.base import CLUSTER, StoreError

_NEXT = {
    "attached": "run offload.yml: it lets the cluster follow",
    "following": "run offload.yml: it compares both ends and cuts over",
    "cutover": "watch the platform; rollback.yml goes back without loss, commit.yml ends that",
    "committed": "nothing; the old data directory is yours to remove",
}


def stands(serving: str, committed: bool, local: LocalEnd, cluster: ClusterEnd, source: RedisSource) -> dict[str, Any]:
    """What both ends tell; one that is silent is named, not hidden."""
    told: dict[str, Any] = {"trouble": [], "members": [], "lag": None, "prepared": serving == CLUSTER}
    states = cluster.states()
    for one in states:
        known = one.replication
        told["members"].append(
            {
                "name": one.name,
                "state": "ONLINE" if known is not None and (known.master or known.link_up) else _down(known),
                "role": one.role,
                "version": one.version,
                "error": one.error,
            }
        )
    watched = cluster.sentinels.watched()
    told["sentinels"] = {
        name: None if address is None else "{}:{}".format(*address) for name, address in watched.items()
    }
    ours: Replication | None = None
    version = ""
    try:
        if not told["prepared"]:
            told["prepared"] = local.boots_closed() and source.prepared()
        ours, version = local.server.look(), local.server.version()
    except StoreError as problem:
        if not committed:
            told["trouble"].append(str(problem))
    follows = any(
        one.replication is not None and (one.replication.host, one.replication.port) == local.origin() for one in states
    )
    told["stage"] = _stage(serving, committed, follows)
    told["next"] = _NEXT[told["stage"]]
    leader = next((one for one in states if one.replication is not None and _leads(one.replication, local)), None)
    if leader is not None and leader.replication is not None and ours is not None:
        ahead, behind = (leader.replication, ours) if serving == CLUSTER else (ours, leader.replication)
        told["lag"] = {"bytes": max(ahead.offset - behind.offset, 0), "link_up": behind.link_up}
    told["way_back"] = False
    if told["stage"] == "cutover" and ours is not None:
        told["way_back"] = ours.link_up
        versions = [one.version for one in states if one.version]
        told["way_back_facts"] = way_back(ours, [one.replication for one in states], version, versions)
    return told


def way_back(ours: Replication, members: list[Replication | None], version: str, versions: list[str]) -> dict[str, Any]:
    """Whether the old container can go on following, now and after it was cut off for a while."""
    replicas = [one for one in members if one is not None and not one.master]
    partial = ours.link_up or any(one.continues(ours.position) for one in replicas)
    full = bool(versions) and all(series(one) <= series(version) for one in versions)
    held = min((one.backlog_size for one in replicas), default=0)
    return {
        "follows": ours.link_up,
        "partial_resync": partial,
        "full_resync": full,
        "backlog_bytes": held,
        "source_version": version,
        "cluster_versions": sorted(set(versions)),
        "holds": partial or full,
    }


def _leads(state: Replication, local: LocalEnd) -> bool:
    return state.master or (state.host, state.port) == local.origin()


def _down(state: Replication | None) -> str:
    return "UNREACHABLE" if state is None else ("SYNCING" if state.syncing else "CUT OFF")


def _stage(serving: str, committed: bool, follows: bool) -> str:
    if serving == CLUSTER:
        return "committed" if committed else "cutover"
    return "following" if follows else "attached"
