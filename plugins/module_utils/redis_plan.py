# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge whether and how Redis can move: findings for an operator, out of facts alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .plan_words import Estimate, by_severity, few, judge_count, judge_port, judge_space, size
from .redis_config import normal
from .redis_facts import SourceFacts
from .redis_info import series
from .stores.base import LEAST_MEMBERS, Finding, blocker

#: The first release whose accounts can be told which channels they may use.
LOWEST = (6, 2)
#: What a rewrite of the files needs beside them, and a copy beside what is written meanwhile.
ROOM = 3.0
#: A copy is taken from memory: what is written meanwhile is kept beside it.
MEMORY = 1.5
#: Bytes a second of a full synchronization on ordinary networks, and what comes on top of it for each member.
COPY_RATE = 60_000_000
JOIN_SECONDS = 5.0
#: What requests wait for at a flip, measured.
STALL_SECONDS = 0.6
#: Characters that mean themselves wherever a password is written, which is also in Tutor's addresses.
_PLAIN = re.compile(r"[A-Za-z0-9._~-]+")
#: Keys that an eviction may take although they have no time to live, such as queued tasks.
_TAKES_ALL = "allkeys-"


@dataclass(frozen=True)
class PlanFacts:
    """Everything that is judged. ``members`` are dictionaries as the module redis_member_info returns them."""

    source: SourceFacts
    members: Sequence[Mapping[str, Any]]
    sentinel_port: int = 26379
    maxmemory: str = ""
    app_password: str = field(default="", repr=False)
    attached: bool = False
    tutor_changes: Sequence[str] = field(default_factory=list)


def judge(facts: PlanFacts) -> list[Finding]:
    """All findings, blockers first."""
    return by_severity([*_source(facts), *_members(facts), *_outlook(facts)])


def estimate(facts: PlanFacts) -> Estimate:
    """How much there is to copy, how long that takes and how long a flip holds learners up, whatever the size."""
    count = max(len(facts.members), 1)
    seconds = count * (facts.source.bytes / COPY_RATE + JOIN_SECONDS)
    return Estimate(facts.source.bytes, round(seconds), STALL_SECONDS, "replication")


def _source(facts: PlanFacts) -> Iterable[Finding]:
    source = facts.source
    if source.sharded:
        yield blocker("redis.sharded", "source", "Tutor names a Redis Cluster of shards", "name its own Redis")
    if series(source.version) < LOWEST:
        message = f"Tutor's Redis is {source.version}, older than 6.2"
        yield blocker("redis.version.source", "source", message, "upgrade Tutor first")
    if source.role != "master" and not facts.attached:
        yield blocker(
            "redis.follows",
            "source",
            "it follows another server, so it is not where the platform's writes are",
            "find out which server the platform writes to, and name that one, or run `replicaof no one` on it",
        )
    if source.modules:
        yield Finding(
            "redis.modules",
            "warning",
            "source",
            f"it has modules, and keys that only they understand cannot be moved: {few(source.modules)}",
            "see whether the platform uses one of them; Open edX itself does not",
        )
    if source.maxmemory and source.policy.startswith(_TAKES_ALL):
        yield Finding(
            "redis.eviction",
            "info",
            "source",
            f"at {size(source.maxmemory)} it drops any keys ({source.policy}), queued tasks among them; the cluster "
            "drops only such as have a time to live",
        )
    if facts.app_password and not _PLAIN.fullmatch(facts.app_password):
        yield blocker(
            "redis.password",
            "tutor",
            "the platform's password for Redis has characters that Tutor writes into addresses as they are",
            "use letters, digits, dots, dashes, underscores and tildes only",
        )
    limit = int(normal(facts.maxmemory)) if facts.maxmemory else 0
    if limit and source.bytes * MEMORY > limit:
        yield blocker(
            "redis.memory",
            "cluster",
            f"{size(source.bytes)} of data do not go into redis_maxmemory, {size(limit)}, with room to grow",
            f"set it to {size(round(source.bytes * MEMORY))} or more",
        )


def _members(facts: PlanFacts) -> Iterable[Finding]:
    yield from judge_count("redis", len(facts.members), f"name {LEAST_MEMBERS} hosts or more in the group redis")
    for member in facts.members:
        yield from _member(facts, member)


def _member(facts: PlanFacts, member: Mapping[str, Any]) -> Iterable[Finding]:
    host, source = member["host"], facts.source
    yield from _series(source, member)
    if member.get("key_count") and not facts.attached:
        yield blocker(
            "redis.target_data",
            host,
            f"it holds {member['key_count']} keys, which would be lost",
            "empty it if nobody wants them, or name another host",
        )
    yield from judge_port("redis", host, member.get("port", 6379), member.get("port_taken_by"), "redis_port")
    watched = facts.sentinel_port, member.get("sentinel_port_taken_by")
    yield from judge_port("redis", host, *watched, "redis_sentinel_port")
    if not member.get("key_count"):
        yield from judge_space("redis", member, round(source.bytes * ROOM))


def _series(source: SourceFacts, member: Mapping[str, Any]) -> Iterable[Finding]:
    told = member.get("server_version") or (member.get("version_installed") or "").rpartition(":")[2]
    if not told:
        # A plan changes nothing, so it does not add the repository; the role refuses a series that it cannot use.
        yield Finding(
            "redis.version.unknown",
            "info",
            member["host"],
            "which Redis it would run is known once its repository is added, before anything else is",
            f"see that redis_repository offers the series of the source, {source.version}",
        )
    elif series(told) < series(source.version):
        yield blocker(
            "redis.series",
            member["host"],
            f"it would run Redis {told}, which cannot read what Tutor's {source.version} sends",
            "set redis_version to the series of the source",
        )
    elif series(told) > series(source.version):
        yield Finding(
            "redis.series",
            "warning",
            member["host"],
            f"it would run Redis {told}, newer than Tutor's {source.version}: the old container could not take a whole "
            "copy from it, so the way back holds only while it is never cut off for longer than the backlog lasts",
            "set redis_version to the series of the source",
        )


def _outlook(facts: PlanFacts) -> Iterable[Finding]:
    if facts.tutor_changes:
        yield Finding(
            "redis.tutor_keys", "info", "tutor", f"settings of Tutor that change: {', '.join(facts.tutor_changes)}"
        )
    outlook = estimate(facts)
    yield Finding(
        "redis.duration",
        "info",
        "store",
        f"{size(outlook.bytes)} in {facts.source.keys} keys to copy while the platform serves, about "
        f"{outlook.follow_seconds} s; a flip holds requests for about {outlook.stall_seconds} s whatever the size, and "
        "longer while workers end what they have fetched; the way back loses no write until the commit",
    )
