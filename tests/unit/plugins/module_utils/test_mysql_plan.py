# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_facts import SourceFacts
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_plan import (
    PlanFacts,
    copies,
    estimate,
    judge,
    release,
)

SOURCE = SourceFacts(
    version="8.4.11",
    variables={
        "binlog_format": "ROW",
        "binlog_row_image": "FULL",
        "character_set_server": "utf8mb4",
        "collation_server": "utf8mb4_unicode_ci",
        "gtid_mode": "OFF",
        "innodb_page_size": "16384",
        "log_bin": "ON",
        "lower_case_table_names": "0",
        "super_read_only": "OFF",
    },
    databases={"notes": "utf8mb4_unicode_ci", "openedx": "utf8mb4_unicode_ci"},
    bytes=6_000_000_000,
    keyless_tables=[],
    other_engines=[],
    accounts={"root@%": "caching_sha2_password", "openedx@%": "caching_sha2_password"},
    missing_definers=[],
    events=[],
    added_plugins=[],
    missing_privileges=[],
    clients=["openedx from 172.18.0.1"],
    replicas=[],
    known_accounts=[],
)
MEMBER: dict[str, Any] = {
    "version_candidate": "8.4.6-1debian13",
    "version_installed": None,
    "data_dir_bytes_free": 50_000_000_000,
    "user_schemas": [],
    "port_taken_by": None,
}
MEMBERS = [{**MEMBER, "host": host} for host in ("db1", "db2", "db3")]


def plan(members: list[dict[str, Any]] | None = None, **changes: Any) -> PlanFacts:
    known = {name: changes.pop(name) for name in ("edge_seen_as", "attached", "tutor_changes") if name in changes}
    return PlanFacts(replace(SOURCE, **changes), MEMBERS if members is None else members, **known)


def found(facts: PlanFacts) -> dict[str, str]:
    return {one.id: one.severity for one in judge(facts)}


def test_an_ordinary_site_has_nothing_in_its_way() -> None:
    assert found(plan()) == {"mysql.duration": "info"}


def test_one_member_more_or_less_changes_its_own_finding_only() -> None:
    assert found(plan(MEMBERS[:2]))["mysql.members.count"] == "blocker"
    assert found(plan([*MEMBERS, {**MEMBER, "host": "db4"}]))["mysql.members.count"] == "warning"


@pytest.mark.parametrize(
    ("changes", "identity", "severity"),
    [
        ({"version": "5.7.44"}, "mysql.version.source", "blocker"),
        ({"version": "9.7.4"}, "mysql.version.lower_target", "blocker"),
        ({"version": "8.0.40"}, "mysql.series", "blocker"),
        ({"variables": {**SOURCE.variables, "log_bin": "OFF"}}, "mysql.binlog", "blocker"),
        ({"variables": {**SOURCE.variables, "binlog_row_image": "MINIMAL"}}, "mysql.binlog", "blocker"),
        ({"variables": {**SOURCE.variables, "lower_case_table_names": "1"}}, "mysql.lower_case_table_names", "blocker"),
        ({"other_engines": ["openedx.old (MyISAM)"]}, "mysql.engine", "blocker"),
        ({"keyless_tables": ["openedx.keyless"]}, "mysql.no_primary_key", "warning"),
        ({"accounts": {"notes@%": "mysql_native_password"}}, "mysql.auth_plugin", "warning"),
        ({"missing_definers": ["openedx.best (ghost@%)"]}, "mysql.definer", "warning"),
        ({"missing_privileges": ["RELOAD"]}, "mysql.grants", "blocker"),
        ({"added_plugins": ["audit_log"]}, "mysql.plugins", "blocker"),
        ({"events": ["openedx.tidy"]}, "mysql.events", "info"),
        ({"databases": {"old": "latin1_swedish_ci"}}, "mysql.charset", "info"),
        ({"replicas": ["reports"]}, "mysql.replicas", "warning"),
        ({"tutor_changes": ["MYSQL_HOST"]}, "mysql.tutor_keys", "info"),
    ],
)
def test_a_property_of_the_source_is_told(changes: dict[str, Any], identity: str, severity: str) -> None:
    assert found(plan(**changes)).get(identity) == severity


@pytest.mark.parametrize(
    ("changes", "identity"),
    [
        ({"user_schemas": ["shop"]}, "mysql.target_data"),
        ({"port_taken_by": "mariadbd"}, "mysql.port"),
        ({"data_dir_bytes_free": 7_000_000_000}, "mysql.space"),
    ],
)
def test_a_property_of_a_member_blocks_and_names_it(changes: dict[str, Any], identity: str) -> None:
    told = [one for one in judge(plan([*MEMBERS[:2], {**MEMBERS[2], **changes}])) if one.id == identity]
    assert [(one.subject, one.blocks) for one in told] == [("db3", True)]
    assert told[0].cure


def test_a_host_without_the_repository_does_not_tell_its_version_yet() -> None:
    assert found(plan([*MEMBERS[:2], {**MEMBERS[2], "version_candidate": None}]))["mysql.version.unknown"] == "warning"


def test_blockers_come_first() -> None:
    severities = [one.severity for one in judge(plan(other_engines=["a.b (MyISAM)"], keyless_tables=["a.c"]))]
    assert severities == ["blocker", "warning", "info"]


def test_the_same_data_on_a_member_is_our_own_copy() -> None:
    members = [{**one, "user_schemas": ["openedx"], "data_dir_bytes_free": 1} for one in MEMBERS]
    assert "mysql.target_data" in found(plan(members))
    assert found(plan(members, known_accounts=["tutorops_admin"])) == {"mysql.duration": "info"}


def test_who_goes_around_the_edge_blocks_once_the_platform_is_attached() -> None:
    clients = ["openedx from 172.18.0.1", "reports from 172.18.0.9"]
    assert "mysql.bypass" not in found(plan(clients=clients, edge_seen_as=["172.18.0.1"]))
    facts = plan(clients=clients, edge_seen_as=["172.18.0.1"], attached=True)
    told = next(one for one in judge(facts) if one.id == "mysql.bypass")
    assert told.blocks and "reports from 172.18.0.9" in told.message and "openedx" not in told.message


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("8.4.11", (8, 4, 11)), ("8.4.11-1debian13", (8, 4, 11)), ("9.7.4-2", (9, 7, 4)), (None, ()), ("8.0", (8, 0, 0))],
)
def test_a_version_is_read_wherever_it_comes_from(version: str | None, numbers: tuple[int, ...]) -> None:
    assert release(version) == numbers


@pytest.mark.parametrize(
    ("source", "target", "possible"),
    [
        ((8, 4, 11), (8, 4, 6), True),
        ((8, 0, 40), (8, 0, 37), True),
        ((8, 0, 40), (8, 0, 36), False),
        ((8, 0, 36), (8, 0, 36), True),
        ((8, 0, 40), (8, 4, 0), False),
        ((9, 1, 0), (9, 1, 0), True),
        ((9, 1, 0), (9, 2, 0), False),
    ],
)
def test_only_releases_of_one_series_are_copied(
    source: tuple[int, ...], target: tuple[int, ...], possible: bool
) -> None:
    assert copies(source, target) is possible


def test_a_larger_store_takes_longer_and_stalls_no_longer() -> None:
    small, large = estimate(plan(bytes=10**9)), estimate(plan(bytes=10**11))
    assert large.follow_seconds > small.follow_seconds * 10
    assert large.stall_seconds == small.stall_seconds
