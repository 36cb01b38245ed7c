# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge whether and how MySQL can move: findings for an operator, out of facts alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import mysql_series as series
from .mysql_facts import SourceFacts
from .mysql_logical import marker
from .mysql_plan_series import judge_series, member_release
from .plan_words import Estimate, by_severity, few, judge_count, judge_evenness, judge_port, judge_space, size
from .stores.base import LEAST_MEMBERS, Finding, blocker

#: A copy needs its own size, and room for what is written meanwhile.
ROOM = 1.3
#: Bytes a second of a physical and of a logical copy on ordinary disks and networks, and what each member adds.
COPY_RATE = 60_000_000
ROWS_RATE = 8_000_000
JOIN_SECONDS = 25.0
STALL_SECONDS = 0.2


@dataclass(frozen=True)
class PlanFacts:
    """Everything that is judged. ``members`` are dictionaries as the module mysql_member_info returns them."""

    source: SourceFacts
    members: Sequence[Mapping[str, Any]]
    edge_seen_as: Sequence[str] = ()
    attached: bool = False
    tutor_changes: Sequence[str] = field(default_factory=list)
    copy: str = series.AUTO
    group_name: str = ""

    @property
    def release(self) -> series.Release:
        """The source's release."""
        return series.release(self.source.version)

    @property
    def target(self) -> series.Release:
        """The lowest release among the members, as far as it is known."""
        return min((release for release in map(member_release, self.members) if release), default=())

    @property
    def way(self) -> str:
        """How the data would get there."""
        return series.way(self.copy, self.release, self.target)


def judge(facts: PlanFacts) -> list[Finding]:
    """All findings, blockers first."""
    found = [*judge_series(facts), *_source(facts), *_members(facts), *_outlook(facts)]
    return by_severity(found)


def estimate(facts: PlanFacts) -> Estimate:
    """How much there is to copy, how long that takes and how long a flip holds learners up, whatever the size."""
    total = facts.source.bytes
    rate = ROWS_RATE if facts.way == series.LOGICAL else COPY_RATE
    # Into the first member, and from there into all others at the same time.
    seconds = total / rate + (len(facts.members) > 1) * total / COPY_RATE + JOIN_SECONDS * max(len(facts.members), 1)
    return Estimate(total, round(seconds), STALL_SECONDS, facts.way)


def _source(facts: PlanFacts) -> Iterable[Finding]:
    source, logical = facts.source, facts.way == series.LOGICAL
    variables = source.variables
    unlogged = [
        f"{name}={variables.get(name)}"
        for name, wanted in (("log_bin", "ON"), ("binlog_format", "ROW"), ("binlog_row_image", "FULL"))
        if variables.get(name) != wanted
    ]
    if unlogged:
        yield blocker(
            "mysql.binlog",
            "source",
            f"its binary log cannot be followed ({', '.join(unlogged)})",
            "remove what changes that from its configuration",
        )
    for name, wanted, cure in (
        ("lower_case_table_names", "0", "ask for help: its names would mean something else on the members"),
        ("innodb_page_size", "16384", "" if logical else "set offload_mysql_copy to logical"),
    ):
        if variables.get(name, wanted) != wanted and cure:
            yield blocker(
                f"mysql.{name}",
                "source",
                f"it was initialised with {name}={variables[name]}, the members with {wanted}",
                cure,
            )
    if source.other_engines:
        yield blocker(
            "mysql.engine",
            "source",
            f"tables that are not InnoDB cannot be in a group: {few(source.other_engines)}",
            "run ALTER TABLE name ENGINE=InnoDB on each",
        )
    if source.missing_privileges:
        yield blocker(
            "mysql.grants",
            "source",
            f"the account that Tutor calls root lacks {few(source.missing_privileges)}",
            "set MYSQL_ROOT_USERNAME and MYSQL_ROOT_PASSWORD to an account with all privileges",
        )
    if source.added_plugins:
        yield Finding(
            "mysql.plugins",
            # Only a physical copy insists on them.
            "warning" if logical else "blocker",
            "source",
            f"it has plugins that the members lack: {few(source.added_plugins)}",
            "uninstall them, or load them on every member by mysql_settings",
        )
    if source.keyless_tables:
        yield Finding(
            "mysql.no_primary_key",
            "warning",
            "source",
            f"tables without a primary key get an invisible one on the cluster: {few(source.keyless_tables)}",
            "nothing to do; large ones take long to change",
        )
    old = [name for name, plugin in source.accounts.items() if plugin == "mysql_native_password"]
    if old:
        gone = max(facts.release, facts.target)[:2] >= (9, 0)
        yield Finding(
            "mysql.auth_plugin",
            "blocker" if gone else "warning",
            "source",
            f"accounts log in by mysql_native_password, which MySQL 9 has no more: {few(old)}",
            "give them new passwords with caching_sha2_password (`tutor local do update-mysql-authentication-plugin`)"
            + ("" if gone else "; until then the members need mysql_native_authentication=true"),
        )
    if source.missing_definers:
        yield Finding(
            "mysql.definer",
            "warning",
            "source",
            "their definers do not exist, so they fail when they are used, here and there: "
            f"{few(source.missing_definers)}",
            "create these accounts, or define them anew",
        )
    odd = [
        f"{name} ({collation})" for name, collation in source.databases.items() if not collation.startswith("utf8mb4")
    ]
    if odd:
        yield Finding("mysql.charset", "info", "source", f"databases that are not utf8mb4 stay as they are: {few(odd)}")
    if source.events:
        yield Finding(
            "mysql.events",
            "info",
            "source",
            f"events run on the end that serves only: {few(source.events)}",
        )


def _members(facts: PlanFacts) -> Iterable[Finding]:
    count = len(facts.members)
    yield from judge_count("mysql", count, f"name at least {LEAST_MEMBERS} hosts in the group mysql")
    if count >= LEAST_MEMBERS:
        yield from judge_evenness("mysql", count)
    for member in facts.members:
        yield from _member(facts, member)


def _member(facts: PlanFacts, member: Mapping[str, Any]) -> Iterable[Finding]:
    host = member["host"]
    held = member.get("user_schemas") or []
    schemas = [name for name in held if name != marker(facts.group_name)]
    ours = bool(facts.source.known_accounts) and set(schemas) <= set(facts.source.databases)
    if len(schemas) < len(held):
        yield Finding(
            "mysql.half_copy", "info", host, "it holds an interrupted copy, which is thrown away and begun anew"
        )
    elif schemas and not ours:
        yield blocker(
            "mysql.target_data",
            host,
            f"it holds other data: {few(schemas)}",
            "move them elsewhere and empty the member, or name another host",
        )
    yield from judge_port("mysql", host, member.get("port", 3306), member.get("port_taken_by"), "mysql_port")
    if not schemas:
        yield from judge_space("mysql", member, round(facts.source.bytes * ROOM))


def _outlook(facts: PlanFacts) -> Iterable[Finding]:
    source = facts.source
    around = [one for one in source.clients if one.rpartition(" from ")[2] not in facts.edge_seen_as]
    if facts.attached and around:
        # No blocker: a run that broke off before the roll is finished by the next one, and no flip leaves them behind.
        yield Finding(
            "mysql.bypass",
            "warning",
            "source",
            f"clients reach the container without the edge, and no flip begins while they do: {few(around)}",
            "point them at the edge, or stop them",
        )
    strangers = [user for user in source.replicas if user not in source.known_accounts]
    if strangers:
        yield Finding(
            "mysql.replicas",
            "warning",
            "source",
            f"other servers replicate from it: {few(strangers)}",
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
        f"{size(outlook.bytes)} to copy ({outlook.way}) while the platform serves, about "
        f"{outlook.follow_seconds / 60:.0f} min; a flip holds requests for about {outlook.stall_seconds} s whatever "
        "the size; the way back loses no write until the commit",
    )
