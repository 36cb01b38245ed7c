# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each thing that stands in the way of a member is one sentence with its host and its cure."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.filter.mysql_inputs import mysql_inputs
from ansible_collections.tutorops.scale.plugins.filter.mysql_members import mysql_members
from ansible_collections.tutorops.scale.plugins.filter.mysql_obstacles import mysql_obstacles

GOOD: dict[str, Any] = {
    "host": "db1",
    "address": "10.0.0.11",
    "address_present": True,
    "distribution": "debian 13",
    "version_candidate": "8.4.7-1debian13",
    "version_installed": None,
    "service_active": False,
    "data_dir": "/var/lib/mysql",
    "data_dir_bytes_free": 50 * 2**30,
    "data_dir_empty": True,
    "memory_bytes": 8 * 2**30,
    "port_taken_by": None,
    "health_port_taken_by": None,
    "user_schemas": [],
    "login": None,
}
INSTALLED = {"version_installed": "8.4.7-1debian13", "service_active": True, "data_dir_empty": False}


def obstacles(version: str = "", addresses: tuple[str, ...] = ("10.0.0.11", "10.0.0.12"), **changes: Any) -> list[str]:
    return mysql_obstacles(
        {**GOOD, **changes},
        systems=["debian 13", "ubuntu 24.04"],
        series=["8.4", "9"],
        memory=2**30,
        free=5 * 2**30,
        port=3306,
        health_port=9200,
        version=version,
        addresses=addresses,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"version_candidate": None},
        {"version_candidate": "9.7.4-2"},
        {"distribution": "debian 13.2"},
        {**INSTALLED, "login": "root"},
        {**INSTALLED, "login": "tutorops_admin", "user_schemas": ["openedx"], "data_dir_bytes_free": 1},
        {**INSTALLED, "service_active": False, "user_schemas": ["openedx"]},
    ],
)
def test_nothing_stands_in_the_way(changes: dict[str, Any]) -> None:
    assert obstacles(**changes) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"distribution": "debian 11"}, ["db1", "debian 11", "debian 13"]),
        ({"address_present": False}, ["mysql_address of db1", "10.0.0.11"]),
        (
            {"addresses": ("10.0.0.12", "10.0.0.11", "10.0.0.11")},
            ["share the address 10.0.0.11 of db1", "mysql_address"],
        ),
        ({"memory_bytes": 2**29}, ["db1", "0.5 GiB", "mysql_minimum_memory"]),
        ({"data_dir_bytes_free": 2**30}, ["db1", "1.0 GiB free at /var/lib/mysql", "make room"]),
        ({"port_taken_by": "mariadbd"}, ["3306 of db1", "mariadbd", "mysql_port"]),
        ({"health_port_taken_by": "nginx"}, ["9200 of db1", "nginx", "mysql_health_port"]),
        ({"version_candidate": "8.0.44-1debian13"}, ["would get MySQL 8.0.44", "mysql_repository"]),
        ({"version_installed": "8.0.44-1", "data_dir_empty": False}, ["db1 has MySQL 8.0.44"]),
        ({"version": "8.4.9"}, ["8.4.7", "mysql_version is 8.4.9"]),
        ({"data_dir_empty": False}, ["/var/lib/mysql on db1", "earlier installation", "empty the directory"]),
        ({**INSTALLED, "user_schemas": ["wiki"]}, ["db1", "wiki", "nothing is overwritten"]),
        ({**INSTALLED, "user_schemas": ["wiki"], "login": "root"}, ["db1", "wiki", "nothing is overwritten"]),
    ],
)
def test_what_stands_in_the_way_is_named(changes: dict[str, Any], words: list[str]) -> None:
    found = obstacles(**changes)
    assert len(found) == 1
    assert all(word in found[0] for word in words), found


def test_series_are_not_prefixes_of_numbers() -> None:
    assert obstacles(version_candidate="8.40.1-1") != []


def test_members_are_hosts_that_told_their_address() -> None:
    told = {"db1": {"mysql_member": {"address": "10.0.0.11", "port": "3306"}}, "db2": {}}
    assert mysql_members(["db1", "db2", "db3"], told) == [{"name": "db1", "address": "10.0.0.11", "port": 3306}]


RIGHT: dict[str, Any] = {
    "reached": ["db1", "db2", "db3", "app"],
    "host": "db1",
    "group_name": "0b9c3a55-6c64-4f2f-8f6e-3d9c3f3f8a11",
    "admin_password": "long enough",
    "replication_password": "also long enough",
}


def test_right_inputs_are_taken() -> None:
    assert mysql_inputs(["db1", "db2", "db3"], **RIGHT) == []


@pytest.mark.parametrize(
    ("hosts", "changes", "words"),
    [
        (["db1", "db2"], {}, ["mysql_hosts names 2 hosts (db1, db2)", "three or more"]),
        (["db1", "db2", "db2"], {}, ["mysql_hosts names 2 hosts"]),
        ([], {}, ["mysql_hosts names 0 hosts (none)"]),
        (["db1", "db2", "db4"], {}, ["db4 of mysql_hosts did not answer", "--limit"]),
        (["db1", "db2", "db3"], {"admin_password": ""}, ["mysql_admin_password is not set for db1", "vault"]),
        (["db1", "db2", "db3"], {"replication_password": "short"}, ["mysql_replication_password is", "8 characters"]),
        (["db1", "db2", "db3"], {"replication_password": "x" * 33}, ["more than the 32 characters", "shorter"]),
        (["db1", "db2", "db3"], {"group_name": ""}, ["mysql_group_name is not set", "uuidgen"]),
        (["db1", "db2", "db3"], {"group_name": "mine"}, ["mysql_group_name is mine", "uuidgen"]),
    ],
)
def test_wrong_inputs_are_refused(hosts: list[str], changes: dict[str, Any], words: list[str]) -> None:
    (sentence,) = mysql_inputs(hosts, **{**RIGHT, **changes})
    assert all(word in sentence for word in words), sentence
    assert "short:" not in sentence and "xxx" not in sentence
