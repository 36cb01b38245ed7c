# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each thing that stands in the way of a member is one sentence with its host and its cure."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.filter.mongodb_inputs import mongodb_inputs
from ansible_collections.tutorops.scale.plugins.filter.mongodb_obstacles import mongodb_obstacles

GOOD: dict[str, Any] = {
    "host": "data1",
    "address": "10.0.0.11",
    "address_present": True,
    "distribution": "debian 12",
    "version_candidate": "7.0.28",
    "version_installed": None,
    "service_active": False,
    "configured": False,
    "data_dir": "/var/lib/mongodb",
    "data_dir_bytes_free": 50 * 2**30,
    "data_dir_empty": True,
    "memory_bytes": 8 * 2**30,
    "port_taken_by": None,
    "state": None,
}
OURS = {"version_installed": "7.0.28", "configured": True, "data_dir_empty": False}


def obstacles(version: str = "", addresses: tuple[str, ...] = ("10.0.0.11", "10.0.0.12"), **changes: Any) -> list[str]:
    return mongodb_obstacles(
        {**GOOD, **changes},
        systems=["debian 12", "ubuntu 24.04"],
        series=["6.0", "7.0"],
        memory=2**30,
        free=5 * 2**30,
        port=27017,
        version=version,
        addresses=addresses,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"version_candidate": None},
        {"version_candidate": "6.0.5"},
        {"distribution": "debian 12.9"},
        OURS,
        {**OURS, "state": "UNINITIATED", "data_dir_bytes_free": 1},
        {**OURS, "state": "PRIMARY"},
    ],
)
def test_nothing_stands_in_the_way(changes: dict[str, Any]) -> None:
    assert obstacles(**changes) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"distribution": "debian 11"}, ["data1", "debian 11", "debian 12"]),
        ({"address_present": False}, ["mongodb_address of data1", "10.0.0.11"]),
        (
            {"addresses": ("10.0.0.12", "10.0.0.11", "10.0.0.11")},
            ["share the address 10.0.0.11 of data1", "mongodb_address"],
        ),
        ({"memory_bytes": 2**29}, ["data1", "0.5 GiB", "mongodb_minimum_memory"]),
        ({"data_dir_bytes_free": 2**30}, ["data1", "1.0 GiB free at /var/lib/mongodb", "make room"]),
        ({"port_taken_by": "nginx"}, ["27017 of data1", "nginx", "mongodb_port"]),
        ({"version_candidate": "4.4.29"}, ["would get MongoDB 4.4.29", "mongodb_repository"]),
        ({**OURS, "version_installed": "8.2.1"}, ["data1 has MongoDB 8.2.1"]),
        ({"version": "7.0.30"}, ["7.0.28", "mongodb_version is 7.0.30"]),
        ({"data_dir_empty": False}, ["/var/lib/mongodb on data1", "not of this role", "empty the directory"]),
        ({**OURS, "state": "REMOVED"}, ["data1", "taken out of a set", "empty /var/lib/mongodb"]),
    ],
)
def test_what_stands_in_the_way_is_named(changes: dict[str, Any], words: list[str]) -> None:
    found = obstacles(**changes)
    assert len(found) == 1
    assert all(word in found[0] for word in words), found


HOSTS = ["data1", "data2", "data3"]
RIGHT: dict[str, Any] = {
    "reached": [*HOSTS, "app"],
    "host": "data1",
    "set_name": "openedx",
    "admin_password": "long enough",
    "keyfile": "c2VjcmV0\nIHNlY3JldA==\n",
}


@pytest.mark.parametrize("changes", [{}, {"keyfile": "x" * 1024}, {"keyfile": "x" * 1024 + "\n"}])
def test_right_inputs_are_taken(changes: dict[str, Any]) -> None:
    assert mongodb_inputs(HOSTS, **{**RIGHT, **changes}) == []


@pytest.mark.parametrize(
    ("hosts", "changes", "words"),
    [
        (["data1", "data2"], {}, ["mongodb_hosts names 2 hosts (data1, data2)", "three or more"]),
        (["data1", "data2", "data2"], {}, ["mongodb_hosts names 2 hosts"]),
        ([], {}, ["mongodb_hosts names 0 hosts (none)"]),
        (["data1", "data2", "data4"], {}, ["data4 of mongodb_hosts did not answer", "--limit"]),
        (HOSTS, {"admin_password": "short"}, ["mongodb_admin_password is not set for data1", "8 characters", "vault"]),
        (HOSTS, {"keyfile": ""}, ["mongodb_keyfile is not set for data1", "vault"]),
        (HOSTS, {"keyfile": "secret: none!"}, ["mongodb_keyfile is not 6 to 1024", "openssl"]),
        (HOSTS, {"keyfile": "x" * 1025}, ["mongodb_keyfile is not 6 to 1024"]),
        (HOSTS, {"keyfile": "xxx" + " " * 9}, ["mongodb_keyfile is not 6 to 1024"]),
        (HOSTS, {"set_name": "my set"}, ["mongodb_set_name is 'my set'", "underscores"]),
        (HOSTS, {"set_name": ""}, ["mongodb_set_name is ''"]),
    ],
)
def test_wrong_inputs_are_refused(hosts: list[str], changes: dict[str, Any], words: list[str]) -> None:
    (sentence,) = mongodb_inputs(hosts, **{**RIGHT, **changes})
    assert all(word in sentence for word in words), sentence
    assert "xxx" not in sentence and "secret: none" not in sentence
