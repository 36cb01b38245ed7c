# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge whether and how MongoDB can move: findings for an operator, out of facts alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .mongodb_config import MOST_VOTERS
from .mongodb_facts import SourceFacts
from .plan_words import Estimate, by_severity, few, judge_evenness, judge_port, judge_space, size
from .stores.base import LEAST_MEMBERS, Finding, blocker

#: The local end votes, too, in the moment of a move.
MOST_MEMBERS = MOST_VOTERS - 1
#: The first release whose sets change and read as this collection needs it.
LOWEST = (5, 0)
#: A copy needs its own size, its indexes, and room for what is written meanwhile.
ROOM = 1.5
#: Bytes a second of an initial sync on ordinary disks and networks, and what comes on top of it for each member.
COPY_RATE = 40_000_000
JOIN_SECONDS = 10.0
#: What requests wait for, measured: the one restart, and a step down with the first write after it.
RESTART_SECONDS = 3.0
STALL_SECONDS = 1.2
#: What a set's log of operations takes by default: 5 % of the free disk, within bounds.
_LOG_SHARE, _LOG_LEAST, _LOG_MOST = 0.05, 990 * 2**20, 50 * 2**30
#: Characters that mean themselves wherever a password is written, which is also in Tutor's addresses.
_PLAIN = re.compile(r"[A-Za-z0-9._~-]+")
_KEY = re.compile(r"[A-Za-z0-9+/=\s]+")


@dataclass(frozen=True)
class PlanFacts:
    """Everything that is judged. ``members`` are dictionaries as the module mongodb_member_info returns them."""

    source: SourceFacts
    members: Sequence[Mapping[str, Any]]
    set_name: str
    app_user: str = "openedx"
    app_password: str = field(default="", repr=False)
    keyfile: str = field(default="", repr=False)
    databases: Sequence[str] = ("openedx", "cs_comments_service")
    attached: bool = False
    tutor_changes: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True)
class MongodbEstimate(Estimate):
    """What the move would take, the one restart of Tutor's container included."""

    restart_seconds: float


def judge(facts: PlanFacts) -> list[Finding]:
    """All findings, blockers first."""
    found = [*_source(facts), *_versions(facts), *_secrets(facts), *_members(facts), *_outlook(facts)]
    return by_severity(found)


def estimate(facts: PlanFacts) -> MongodbEstimate:
    """How much there is to copy, how long that takes, and how long learners are held up, whatever the size."""
    total, count = facts.source.bytes, max(len(facts.members), 1)
    seconds = count * (total / COPY_RATE + JOIN_SECONDS)
    restart = 0.0 if facts.attached else RESTART_SECONDS
    return MongodbEstimate(total, round(seconds), STALL_SECONDS, "initial sync", restart)


def release(version: str | None) -> tuple[int, ...]:
    """The numbers of a series: of C(7.0.28) they are 7 and 0."""
    match = re.search(r"(\d+)\.(\d+)", version or "")
    return tuple(int(part) for part in match.groups()) if match else ()


def _source(facts: PlanFacts) -> Iterable[Finding]:
    source = facts.source
    if source.sharded:
        yield blocker("mongodb.sharded", "source", "Tutor names a router of a sharded cluster", "name its own MongoDB")
    if source.set_name and source.set_name != facts.set_name:
        yield blocker(
            "mongodb.other_set",
            "source",
            f"it is a member of the set {source.set_name} already, not of {facts.set_name}",
            "set mongodb_set_name to it if its members are those of mongodb_hosts, or take it out of that set",
        )
    if source.asks_login:
        yield blocker(
            "mongodb.login",
            "source",
            "it asks for a login, which Tutor's own MongoDB does not",
            "take authorization out of its command or configuration until it is attached; the cluster will ask for one",
        )
    if source.engine and source.engine != "wiredTiger":
        yield blocker(
            "mongodb.engine",
            "source",
            f"its storage engine is {source.engine}, which no set of today has",
            "dump its data and load them into a MongoDB with wiredTiger",
        )
    if "--nojournal" in source.arguments:
        yield Finding(
            "mongodb.nojournal",
            "info",
            "source",
            "it runs without a journal, which a member of a set cannot; the new command leaves that out",
        )
    if source.users:
        taken = f"admin.{facts.app_user}" in source.users
        yield Finding(
            "mongodb.users",
            "warning" if taken else "info",
            "source",
            f"accounts that exist come along: {few(source.users)}"
            + (f"; {facts.app_user} gets another password" if taken else ""),
        )
    others = sorted(set(source.databases) - set(facts.databases))
    if others:
        yield Finding(
            "mongodb.databases",
            "warning",
            "source",
            f"databases move that the platform's account may not use: {few(others)}",
            "make accounts for whoever uses them, because the cluster lets nobody in without one",
        )
    need = _log_size(source)
    if not source.log_bytes and source.disk_bytes_free and source.disk_bytes_free < 2 * need:
        yield blocker(
            "mongodb.log_space",
            "source",
            f"a set's log of operations takes {size(need)} there, and {size(source.disk_bytes_free)} are free",
            "make room on the app server",
        )


def _versions(facts: PlanFacts) -> Iterable[Finding]:
    source = release(facts.source.version)
    if source < LOWEST:
        yield blocker(
            "mongodb.version.source",
            "source",
            f"Tutor's MongoDB is {facts.source.version or 'unknown'}, older than 5.0",
            "upgrade Tutor first",
        )
        return
    compatible = release(facts.source.compatibility)
    if compatible and compatible != source:
        yield Finding(
            "mongodb.compatibility",
            "warning",
            "source",
            f"it is {facts.source.version} but keeps to the features of {facts.source.compatibility}",
            "after the move, set setFeatureCompatibilityVersion to the series; before the next series it has to be",
        )
    for member in facts.members:
        told = member.get("server_version") or member.get("version_installed") or member.get("version_candidate")
        target = release(told)
        if not target:
            # A plan changes nothing, so it does not add the repository; the role refuses a series that it cannot use.
            yield Finding(
                "mongodb.version.unknown",
                "warning",
                member["host"],
                "which MongoDB it would run is known once its repository is added, before anything else is",
                "see that mongodb_repository offers the series of the source",
            )
        elif target != source:
            yield blocker(
                "mongodb.series",
                member["host"],
                f"it would run MongoDB {told}, and a member joins a set only with the set's series, which is "
                f"{'.'.join(map(str, source))}",
                "set mongodb_series to that of the source; upgrade the cluster after the move",
            )


def _secrets(facts: PlanFacts) -> Iterable[Finding]:
    if facts.app_password and not _PLAIN.fullmatch(facts.app_password):
        yield blocker(
            "mongodb.password",
            "tutor",
            "the platform's password for MongoDB has characters that Tutor writes into addresses as they are",
            "use letters, digits, dots, dashes, underscores and tildes only",
        )
    key = "".join(facts.keyfile.split())
    if facts.keyfile and not (_KEY.fullmatch(facts.keyfile) and 6 <= len(key) <= 1024):
        yield blocker(
            "mongodb.keyfile",
            "cluster",
            "mongodb_keyfile is no key: it has to be 6 to 1024 characters of base64",
            "make one with `openssl rand -base64 756`",
        )


def _members(facts: PlanFacts) -> Iterable[Finding]:
    count = len(facts.members)
    if not LEAST_MEMBERS <= count <= MOST_MEMBERS:
        yield blocker(
            "mongodb.members.count",
            "cluster",
            f"{count} member(s) cannot stand the failure of one"
            if count < LEAST_MEMBERS
            else f"{count} members and Tutor's own are more than the {MOST_VOTERS} that may vote",
            f"name {LEAST_MEMBERS} to {MOST_MEMBERS} hosts in the group mongodb",
        )
    else:
        yield from judge_evenness("mongodb", count)
    for member in facts.members:
        yield from _member(facts, member)


def _member(facts: PlanFacts, member: Mapping[str, Any]) -> Iterable[Finding]:
    host, found_set = member["host"], member.get("set_name")
    if found_set and found_set != facts.set_name:
        yield blocker(
            "mongodb.target_set",
            host,
            f"it is a member of the set {found_set}",
            "name another host, or the set's own name",
        )
    elif found_set and not facts.attached:
        yield blocker(
            "mongodb.target_data",
            host,
            f"it is a member of a set {found_set} that Tutor's MongoDB is not in, and what that holds would be lost",
            "stop MongoDB there and empty its data directory if nobody wants it, or name another host",
        )
    yield from judge_port("mongodb", host, member.get("port", 27017), member.get("port_taken_by"), "mongodb_port")
    if not found_set:
        yield from judge_space("mongodb", member, round(facts.source.bytes * ROOM))


def _outlook(facts: PlanFacts) -> Iterable[Finding]:
    if facts.tutor_changes:
        yield Finding(
            "mongodb.tutor_keys", "info", "tutor", f"settings of Tutor that change: {', '.join(facts.tutor_changes)}"
        )
    outlook = estimate(facts)
    if outlook.restart_seconds:
        yield Finding(
            "mongodb.restart",
            "info",
            "store",
            f"Tutor's MongoDB is restarted once, for which requests wait about {outlook.restart_seconds:.0f} s and at "
            "most 8 s; tasks of workers that use it in that moment may have to be repeated",
        )
    yield Finding(
        "mongodb.duration",
        "info",
        "store",
        f"{size(outlook.bytes)} to copy while the platform serves, about {outlook.follow_seconds / 60:.0f} min; a "
        f"move holds requests for about {outlook.stall_seconds} s whatever the size; the way back loses no write until "
        "the commit",
    )


def _log_size(source: SourceFacts) -> int:
    return round(min(max(source.disk_bytes_free * _LOG_SHARE, _LOG_LEAST), _LOG_MOST))
