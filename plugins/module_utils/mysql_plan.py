# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge whether and how MySQL can move: findings for an operator, out of facts alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .mysql_facts import SourceFacts
from .stores.base import Finding

LEAST_MEMBERS = 3
#: A copy needs its own size, and room for what is written meanwhile.
ROOM = 1.3
#: Bytes a second of a copy on ordinary disks and networks, and what comes on top of it for each member.
COPY_RATE = 60_000_000
JOIN_SECONDS = 25.0
STALL_SECONDS = 0.2
#: The series in which any two releases can be copied to each other; of all others only equal releases.
_LONG_TERM = ((8, 4), (9, 7))
_LOWEST = (8, 0)
_SHOWN = 8
_ORDER = {"blocker": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class PlanFacts:
    """Everything that is judged. ``members`` are dictionaries as the module mysql_member_info returns them."""

    source: SourceFacts
    members: Sequence[Mapping[str, Any]]
    edge_seen_as: Sequence[str] = ()
    attached: bool = False
    tutor_changes: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True)
class Estimate:
    """What the move would take."""

    bytes: int
    follow_seconds: int
    stall_seconds: float
    way: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))


def judge(facts: PlanFacts) -> list[Finding]:
    """All findings, blockers first."""
    found = [*_versions(facts), *_source(facts.source), *_members(facts), *_outlook(facts)]
    return sorted(found, key=lambda one: _ORDER[one.severity])


def estimate(facts: PlanFacts) -> Estimate:
    """How much there is to copy, how long that takes and how long a flip holds learners up, whatever the size."""
    size = facts.source.bytes
    copies = 1 + (len(facts.members) > 1)
    seconds = copies * size / COPY_RATE + JOIN_SECONDS * max(len(facts.members), 1)
    return Estimate(size, round(seconds), STALL_SECONDS, "clone")


def release(version: str | None) -> tuple[int, ...]:
    """The numbers of a version: of C(8.4.11-1debian13) they are 8, 4 and 11."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", version or "")
    return tuple(int(part or 0) for part in match.groups()) if match else ()


def copies(source: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether MySQL's clone plugin copies from one release to another one."""
    if source[:2] in _LONG_TERM and source[:2] == target[:2]:
        return True
    # Within 8.0 releases can be mixed since 8.0.37.
    if source[:2] == target[:2] == _LOWEST and min(source, target) >= (8, 0, 37):
        return True
    return source == target


def _versions(facts: PlanFacts) -> Iterable[Finding]:
    source = release(facts.source.version)
    if source[:2] < _LOWEST:
        yield _blocker(
            "mysql.version.source",
            "source",
            f"Tutor's MySQL is {facts.source.version}, older than 8.0",
            "upgrade Tutor first",
        )
        return
    for member in facts.members:
        told = member.get("server_version") or member.get("version_installed") or member.get("version_candidate")
        target = release(told)
        if not target:
            # A plan changes nothing, so it does not add the repository; the role refuses a series that it cannot use.
            yield Finding(
                "mysql.version.unknown",
                "warning",
                member["host"],
                "which MySQL it would run is known once its repository is added, before anything else is",
                "see that mysql_repository offers the series of the source",
            )
        elif target[:2] < source[:2]:
            yield _blocker(
                "mysql.version.lower_target",
                member["host"],
                f"it would run MySQL {told}, and data of {facts.source.version} cannot go down to it",
                "set mysql_version to the series of the source",
            )
        elif not copies(source, target):
            yield _blocker(
                "mysql.series",
                member["host"],
                f"it would run MySQL {told}; a physical copy from {facts.source.version} needs the same series, and "
                "copying "
                "between series is not supported yet",
                "set mysql_version to the series of the source; upgrade the cluster after the move",
            )


def _source(source: SourceFacts) -> Iterable[Finding]:
    variables = source.variables
    unlogged = [
        f"{name}={variables.get(name)}"
        for name, wanted in (("log_bin", "ON"), ("binlog_format", "ROW"), ("binlog_row_image", "FULL"))
        if variables.get(name) != wanted
    ]
    if unlogged:
        yield _blocker(
            "mysql.binlog",
            "source",
            f"its binary log cannot be followed ({', '.join(unlogged)})",
            "remove what changes that from its configuration",
        )
    for name, wanted in (("lower_case_table_names", "0"), ("innodb_page_size", "16384")):
        if variables.get(name, wanted) != wanted:
            yield _blocker(
                f"mysql.{name}",
                "source",
                f"it was initialised with {name}={variables[name]}, the members with {wanted}",
                "ask for help: such a source can only be dumped and loaded",
            )
    if source.other_engines:
        yield _blocker(
            "mysql.engine",
            "source",
            f"tables that are not InnoDB would arrive empty: {_few(source.other_engines)}",
            "run ALTER TABLE name ENGINE=InnoDB on each",
        )
    if source.missing_privileges:
        yield _blocker(
            "mysql.grants",
            "source",
            f"the account that Tutor calls root lacks {_few(source.missing_privileges)}",
            "set MYSQL_ROOT_USERNAME and MYSQL_ROOT_PASSWORD to an account with all privileges",
        )
    if source.added_plugins:
        yield _blocker(
            "mysql.plugins",
            "source",
            f"it has plugins that the members lack: {_few(source.added_plugins)}",
            "uninstall them, or load them on every member by mysql_config",
        )
    if source.keyless_tables:
        yield Finding(
            "mysql.no_primary_key",
            "warning",
            "source",
            f"tables without a primary key get an invisible one on the cluster: {_few(source.keyless_tables)}",
            "nothing to do; large ones take long to change",
        )
    old = [name for name, plugin in source.accounts.items() if plugin == "mysql_native_password"]
    if old:
        gone = release(source.version)[:2] >= (9, 0)
        yield Finding(
            "mysql.auth_plugin",
            "blocker" if gone else "warning",
            "source",
            f"accounts log in by mysql_native_password, which MySQL 9 has no more: {_few(old)}",
            "give them new passwords with caching_sha2_password; until then the members need mysql_native_password=ON",
        )
    if source.missing_definers:
        yield Finding(
            "mysql.definer",
            "warning",
            "source",
            "their definers do not exist, so they fail when they are used, here and there: "
            f"{_few(source.missing_definers)}",
            "create these accounts, or define them anew",
        )
    odd = [
        f"{name} ({collation})" for name, collation in source.databases.items() if not collation.startswith("utf8mb4")
    ]
    if odd:
        yield Finding(
            "mysql.charset", "info", "source", f"databases that are not utf8mb4 stay as they are: {_few(odd)}"
        )
    if source.events:
        yield Finding(
            "mysql.events",
            "info",
            "source",
            f"events run on the end that serves only: {_few(source.events)}",
        )


def _members(facts: PlanFacts) -> Iterable[Finding]:
    count = len(facts.members)
    if count < LEAST_MEMBERS:
        yield _blocker(
            "mysql.members.count",
            "cluster",
            f"{count} member(s) cannot stand the failure of one",
            f"name at least {LEAST_MEMBERS} hosts in the group mysql",
        )
    elif count % 2 == 0:
        yield Finding(
            "mysql.members.count",
            "warning",
            "cluster",
            f"{count} members stand no more failures than {count - 1}",
            "take an odd number",
        )
    for member in facts.members:
        yield from _member(facts, member)


def _member(facts: PlanFacts, member: Mapping[str, Any]) -> Iterable[Finding]:
    host = member["host"]
    schemas = member.get("user_schemas") or []
    ours = bool(facts.source.known_accounts) and set(schemas) <= set(facts.source.databases)
    if schemas and not ours:
        yield _blocker(
            "mysql.target_data",
            host,
            f"it holds other data: {_few(schemas)}",
            "move them elsewhere and empty the member, or name another host",
        )
    if member.get("port_taken_by"):
        yield _blocker(
            "mysql.port",
            host,
            f"port {member.get('port', 3306)} is taken by {member['port_taken_by']}",
            "stop it, or set mysql_port",
        )
    free = member.get("data_dir_bytes_free")
    needed = round(facts.source.bytes * ROOM)
    if not schemas and free is not None and int(free) < needed:
        yield _blocker(
            "mysql.space",
            host,
            f"{_size(int(free))} are free for the data, {_size(needed)} are needed",
            "make room, or set mysql_data_dir to a larger disk",
        )


def _outlook(facts: PlanFacts) -> Iterable[Finding]:
    source = facts.source
    around = [one for one in source.clients if one.rpartition(" from ")[2] not in facts.edge_seen_as]
    if facts.attached and around:
        yield _blocker(
            "mysql.bypass",
            "source",
            f"clients reach the container without the edge, and would be left behind: {_few(around)}",
            "point them at the edge, or stop them",
        )
    strangers = [user for user in source.replicas if user not in source.known_accounts]
    if strangers:
        yield Finding(
            "mysql.replicas",
            "warning",
            "source",
            f"other servers replicate from it: {_few(strangers)}",
            "let them follow the cluster after the cutover",
        )
    if facts.tutor_changes:
        yield Finding(
            "mysql.tutor_keys", "info", "tutor", f"settings of Tutor that change: {', '.join(facts.tutor_changes)}"
        )
    outlook = estimate(facts)
    yield Finding(
        "mysql.duration",
        "info",
        "store",
        f"{_size(outlook.bytes)} to copy while the platform serves, about {outlook.follow_seconds / 60:.0f} min; a "
        "flip holds "
        f"requests for about {outlook.stall_seconds} s whatever the size; the way back loses no write until the commit",
    )


def _blocker(identity: str, subject: str, message: str, cure: str) -> Finding:
    return Finding(identity, "blocker", subject, message, cure)


def _few(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _size(number: int) -> str:
    value = float(number)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
