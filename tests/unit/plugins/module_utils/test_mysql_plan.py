# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_facts import SourceFacts
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_logical import marker
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_plan import PlanFacts, estimate, judge

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


_KNOWN = ("edge_seen_as", "attached", "tutor_changes", "copy", "group_name")


def plan(members: list[dict[str, Any]] | None = None, **changes: Any) -> PlanFacts:
    known = {name: changes.pop(name) for name in _KNOWN if name in changes}
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
        ({"version": "8.0.33"}, "mysql.version.source", "blocker"),
        ({"version": "8.0.40"}, "mysql.copy", "warning"),
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


def test_who_goes_around_the_edge_is_told_once_the_platform_is_attached() -> None:
    clients = ["openedx from 172.18.0.1", "reports from 172.18.0.9"]
    assert "mysql.bypass" not in found(plan(clients=clients, edge_seen_as=["172.18.0.1"]))
    facts = plan(clients=clients, edge_seen_as=["172.18.0.1"], attached=True)
    told = next(one for one in judge(facts) if one.id == "mysql.bypass")
    assert not told.blocks and "reports from 172.18.0.9" in told.message and "openedx" not in told.message


def of_series(version: str, *versions: str, **changes: Any) -> PlanFacts:
    members = [{**member, "version_candidate": one} for member, one in zip(MEMBERS, versions * 3, strict=False)]
    return plan(members, version=version, **changes)


def test_another_series_is_copied_logically_and_the_way_back_is_told() -> None:
    facts = of_series("8.4.11", "9.7.4-1debian13")
    told = next(one for one in judge(facts) if one.id == "mysql.copy")
    assert told.severity == "warning"
    assert "logical" in told.message and "way back from 9.7 to 8.4" in told.message
    assert "rollback.yml first compares" in told.message and told.cure
    assert not any(one.blocks for one in judge(facts))
    outlook = estimate(facts)
    assert outlook.way == "logical"
    assert outlook.follow_seconds > estimate(of_series("8.4.11", "8.4.6")).follow_seconds
    duration = next(one for one in judge(facts) if one.id == "mysql.duration")
    assert "6.0 GB to copy (logical)" in duration.message


def test_a_logical_copy_within_a_series_is_a_choice() -> None:
    facts = plan(copy="logical")
    assert found(facts) == {"mysql.copy": "info", "mysql.duration": "info"}
    assert estimate(facts).way == "logical"


@pytest.mark.parametrize(
    ("source", "target", "copy", "cure"),
    [
        ("8.0.40", "9.7.4", "auto", "or the next long-term one"),
        ("8.4.11", "9.6.0", "auto", "or the next long-term one"),
        ("8.4.11", "9.7.4", "physical", "or offload_mysql_copy to auto"),
    ],
)
def test_what_leads_nowhere_blocks_on_each_member(source: str, target: str, copy: str, cure: str) -> None:
    told = judge(of_series(source, target, copy=copy))
    blocking = [one for one in told if one.blocks]
    assert {one.id for one in blocking} == {"mysql.series"} and len(blocking) == 3
    assert blocking[0].cure.endswith(cure)
    assert "mysql.copy" not in {one.id for one in told}


def test_one_member_of_a_lower_series_blocks() -> None:
    told = [one for one in judge(of_series("8.4.11", "8.4.6", "8.0.40", "8.4.6")) if one.blocks]
    assert [(one.id, one.subject) for one in told] == [("mysql.version.lower_target", "db2")]


def test_what_only_a_physical_copy_needs_does_not_block_a_logical_one() -> None:
    odd = {"added_plugins": ["audit_log"], "variables": {**SOURCE.variables, "innodb_page_size": "4096"}}
    blocking = [one for one in judge(plan(**odd)) if one.blocks]
    assert [one.id for one in blocking] == ["mysql.innodb_page_size", "mysql.plugins"]
    assert blocking[0].cure == "set offload_mysql_copy to logical"
    assert found(plan(**odd, copy="logical"))["mysql.plugins"] == "warning"
    assert not any(one.blocks for one in judge(plan(**odd, copy="logical")))


def test_a_plugin_that_the_members_series_has_no_more_blocks() -> None:
    accounts = {"notes@%": "mysql_native_password"}
    told = next(one for one in judge(of_series("8.4.11", "9.7.4", accounts=accounts)) if one.id == "mysql.auth_plugin")
    assert told.blocks and "update-mysql-authentication-plugin" in told.cure


def test_half_a_copy_of_ours_is_no_other_data() -> None:
    group = "7a3c1f2e-0000-4000-8000-000000000001"
    held = {**MEMBERS[0], "user_schemas": ["openedx", marker(group)]}
    facts = plan([held, *MEMBERS[1:]], group_name=group)
    assert found(facts)["mysql.half_copy"] == "info" and "mysql.target_data" not in found(facts)
    other = plan([held, *MEMBERS[1:]], group_name="7a3c1f2e-0000-4000-8000-000000000002")
    assert found(other)["mysql.target_data"] == "blocker"


def test_a_larger_store_takes_longer_and_stalls_no_longer() -> None:
    small, large = estimate(plan(bytes=10**9)), estimate(plan(bytes=10**11))
    assert large.follow_seconds > small.follow_seconds * 10
    assert large.stall_seconds == small.stall_seconds
