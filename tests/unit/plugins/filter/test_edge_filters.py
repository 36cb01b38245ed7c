# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters about what an edge serves."""

from __future__ import annotations

from typing import Any

from ansible_collections.tutorops.scale.plugins.filter.edge import FilterModule

FILTERS = FilterModule().filters()


def members(*addresses: str) -> list[dict[str, Any]]:
    return [{"name": address, "address": address, "port": 1} for address in addresses]


MYSQL = {"port": 3306, "source_port": 13306, "members": members("10.0.0.11", "10.0.0.12")}
REDIS = {"port": 6379, "source_port": 16379, "way_back_port": 16380, "members": members("10.0.0.11", "10.0.0.12")}
MONGODB = {"port": 27017, "source_port": 27117, "source_clients": True, "members": members("10.0.0.21")}


def test_every_port_is_named() -> None:
    requests = {"port": 16800, "slots": 2}
    ports = FILTERS["edge_ports"]({"mysql": MYSQL, "redis": REDIS, "mongodb": MONGODB}, requests)
    assert sorted(ports) == [3306, 6379, 13306, 16379, 16380, 16800, 16801, 27017, 27117]
    assert FILTERS["edge_ports"]({"mysql": MYSQL}, {}) == [3306, 13306]


def test_members_alone_reach_the_source_ports_of_their_cluster() -> None:
    other = {**REDIS, "members": members("10.0.0.31")}
    rules = FILTERS["edge_firewall_rules"]({"mysql": MYSQL, "redis": other, "mongodb": MONGODB})
    assert rules == [
        {"ports": [13306], "sources": ["10.0.0.11", "10.0.0.12"]},
        {"ports": [16379], "sources": ["10.0.0.31"]},
    ]


def test_one_cluster_s_hosts_have_one_rule() -> None:
    rules = FILTERS["edge_firewall_rules"]({"mysql": MYSQL, "redis": REDIS})
    assert rules == [{"ports": [13306, 16379], "sources": ["10.0.0.11", "10.0.0.12"]}]


def test_without_a_source_port_there_is_nothing_to_guard() -> None:
    assert FILTERS["edge_firewall_rules"]({"mysql": {"port": 3306, "members": members("10.0.0.11")}}) == []


def test_requests_wait_only_where_a_store_wants_it() -> None:
    assert FILTERS["edge_requests"]({"mysql": MYSQL, "other": {"hold": "connections"}}, 16800) == {}
    for hold in ("requests", "both"):
        wanted = FILTERS["edge_requests"]({"mysql": MYSQL, "redis": {"hold": hold}}, "16800")
        assert wanted == {"port": 16800, "slots": 16, "maxconn": 2000}
