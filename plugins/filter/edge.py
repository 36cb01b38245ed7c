# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters for what an edge serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Stores = Mapping[str, Mapping[str, Any]]


def edge_requests(stores: Stores, port: int) -> dict[str, int]:
    """Where requests wait: the first port, how many ports, and connections at each; nothing if no store wants it."""
    wanted = any(store.get("hold", "connections") != "connections" for store in stores.values())
    return {"port": int(port), "slots": 16, "maxconn": 2000} if wanted else {}


def edge_ports(stores: Stores, requests: Mapping[str, int]) -> list[int]:
    """Every port that the edge listens on."""
    named = [
        int(store[key])
        for key in ("port", "source_port", "way_back_port")
        for store in stores.values()
        if store.get(key)
    ]
    return named + [int(requests["port"]) + number for number in range(int(requests["slots"]) if requests else 0)]


def edge_firewall_rules(stores: Stores) -> list[dict[str, Any]]:
    """Who may reach which port, for those ports whose clients are known in advance: the members, one rule a cluster."""
    rules: dict[tuple[str, ...], list[int]] = {}
    for store in stores.values():
        if store.get("source_port") and not store.get("source_clients"):
            members = tuple(dict.fromkeys(str(one["address"]) for one in store["members"]))
            rules.setdefault(members, []).append(int(store["source_port"]))
    return [{"ports": ports, "sources": list(members)} for members, ports in rules.items()]


class FilterModule:
    """Filters of the collection about the edge."""

    def filters(self) -> dict[str, Any]:
        """Name each filter."""
        return {
            "edge_requests": edge_requests,
            "edge_ports": edge_ports,
            "edge_firewall_rules": edge_firewall_rules,
        }
