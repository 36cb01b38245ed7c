# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each thing that stands in the way of a member is one sentence with its host and its cure."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.filter.redis_inputs import redis_inputs
from ansible_collections.tutorops.scale.plugins.filter.redis_obstacles import redis_obstacles

GOOD: dict[str, Any] = {
    "host": "data1",
    "address": "10.0.0.11",
    "address_present": True,
    "distribution": "debian 13",
    "version_candidate": "6:7.4.7-1rl1~trixie1",
    "version_installed": None,
    "service_active": False,
    "configured": False,
    "data_dir": "/var/lib/redis",
    "data_dir_bytes_free": 50 * 2**30,
    "data_dir_empty": True,
    "memory_bytes": 8 * 2**30,
    "port_taken_by": None,
    "sentinel_port_taken_by": None,
    "key_count": None,
}
INSTALLED = {"version_installed": "6:7.4.7-1rl1~trixie1", "service_active": True, "data_dir_empty": False}
OURS = {**INSTALLED, "configured": True, "key_count": 0}


def obstacles(**changes: Any) -> list[str]:
    options = {
        "systems": ["debian 13", "ubuntu 24.04"],
        "series": ["7.2", "7.4", "8"],
        "memory": 2**30,
        "free": 2 * 2**30,
        "port": 6379,
        "sentinel_port": 26379,
        "maxmemory": "512mb",
        "version": "",
        "offered": True,
        "addresses": ("10.0.0.11", "10.0.0.12"),
    }
    chosen = {name: changes.pop(name, value) for name, value in options.items()}
    return redis_obstacles({**GOOD, **changes}, **chosen)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"version_candidate": None},
        {"version_candidate": "5:8.0.2-3+deb13u1"},
        {"version": "7.4"},
        {"distribution": "debian 13.2"},
        {**INSTALLED, "service_active": False},
        OURS,
        {**OURS, "key_count": 7, "data_dir_bytes_free": 1},
        {**OURS, "version_candidate": "5:6.0.16-1"},
        # Before the repository is there, the distribution's own series is no obstacle.
        {"version_candidate": "5:6.0.16-1", "offered": False},
        {"version_candidate": "5:8.0.2-3", "version": "7.4", "offered": False},
    ],
)
def test_nothing_stands_in_the_way(changes: dict[str, Any]) -> None:
    assert obstacles(**changes) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"distribution": "debian 11"}, ["data1", "debian 11", "debian 13"]),
        ({"address_present": False}, ["redis_address of data1", "10.0.0.11"]),
        (
            {"addresses": ("10.0.0.12", "10.0.0.11", "10.0.0.11")},
            ["share the address 10.0.0.11 of data1", "redis_address"],
        ),
        ({"memory_bytes": 2**29}, ["data1", "0.5 GiB", "redis_minimum_memory"]),
        ({"data_dir_bytes_free": 2**30}, ["data1", "1.0 GiB free at /var/lib/redis", "make room"]),
        ({"port_taken_by": "nginx"}, ["6379 of data1", "nginx", "redis_port"]),
        ({"sentinel_port_taken_by": "nginx"}, ["26379 of data1", "nginx", "redis_sentinel_port"]),
        ({"maxmemory": "0"}, ["redis_maxmemory of data1 is 0", "2gb"]),
        ({"maxmemory": "9gb"}, ["redis_maxmemory of data1 is 9gb", "8.0 GiB"]),
        ({"version_candidate": "5:6.0.16-1"}, ["would get Redis 5:6.0.16", "redis_repository"]),
        ({"version_candidate": "6:7.40.1-1"}, ["would get Redis 6:7.40.1", "7.4"]),
        ({"version_candidate": "5:8.0.2-3", "version": "7.4"}, ["would get", "redis_version is 7.4"]),
        ({**OURS, "version_installed": "5:6.0.16-1"}, ["data1 has Redis 5:6.0.16"]),
        # What a host has counts, whether the repository is there or not.
        ({**OURS, "version_installed": "5:6.0.16-1", "offered": False}, ["data1 has Redis 5:6.0.16"]),
        ({**OURS, "version": "8", "offered": False}, ["data1 has", "redis_version is 8"]),
        ({"data_dir_empty": False}, ["/var/lib/redis on data1", "earlier installation", "empty the directory"]),
        (INSTALLED, ["Redis on data1", "not of this role", "nothing is overwritten"]),
    ],
)
def test_what_stands_in_the_way_is_named(changes: dict[str, Any], words: list[str]) -> None:
    found = obstacles(**changes)
    assert len(found) == 1, found
    assert all(word in found[0] for word in words), found


HOSTS = ["data1", "data2", "data3"]
RIGHT: dict[str, Any] = {
    "reached": [*HOSTS, "app"],
    "host": "data1",
    "users": ["tutorops", "tutorops_repl", "tutorops_sentinel", "openedx"],
    "reserved": ["default", "tutorops_health"],
    "admin_password": "long enough",
    "replication_password": "also long enough",
    "sentinel_password": "longenough",
}


def test_right_inputs_are_taken() -> None:
    assert redis_inputs(HOSTS, **RIGHT) == []


@pytest.mark.parametrize(
    ("hosts", "changes", "words"),
    [
        (["data1", "data2"], {}, ["redis_hosts names 2 hosts (data1, data2)", "three or more"]),
        (["data1", "data2", "data2"], {}, ["redis_hosts names 2 hosts"]),
        ([], {}, ["redis_hosts names 0 hosts (none)"]),
        (["data1", "data2", "data4"], {}, ["data4 of redis_hosts did not answer", "--limit"]),
        (HOSTS, {"admin_password": ""}, ["redis_admin_password is not set for data1", "vault"]),
        (HOSTS, {"replication_password": "xxx"}, ["redis_replication_password is", "8 characters"]),
        (HOSTS, {"sentinel_password": ""}, ["redis_sentinel_password is not set for data1"]),
        *(
            (HOSTS, {"sentinel_password": f"xxxxxxx{sign}x"}, ["redis_sentinel_password has a blank", "choose another"])
            for sign in " \"'#\\\n"
        ),
        (HOSTS, {"users": ["tutorops", "my user"]}, ["'my user' cannot be the name", "letters"]),
        (HOSTS, {"users": ["default"]}, ["'default' cannot be", "than default and tutorops_health"]),
        (HOSTS, {"users": ["tutorops", "openedx", "tutorops"]}, ["share a name (tutorops, openedx, tutorops)"]),
    ],
)
def test_wrong_inputs_are_refused(hosts: list[str], changes: dict[str, Any], words: list[str]) -> None:
    (sentence,) = redis_inputs(hosts, **{**RIGHT, **changes})
    assert all(word in sentence for word in words), sentence
    assert "xxx" not in sentence
