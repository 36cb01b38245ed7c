# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packets that wait while MongoDB's work moves."""

from __future__ import annotations

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_pause import NO_PAUSE, PacketPause, rules
from ansible_collections.tutorops.scale.plugins.module_utils.netns import NetworkError
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError

SCRIPT = """\
table inet tutorops_mongodb {}
delete table inet tutorops_mongodb
table inet tutorops_mongodb {
  set paused { type ipv4_addr . inet_service; flags timeout; }
  chain entering {
    type filter hook input priority -10; policy accept;
    ip saddr { 172.18.0.0/16, 172.19.0.0/16 } ip saddr != 172.18.0.5 ip daddr . tcp dport @paused drop
  }
  chain passing {
    type filter hook forward priority -10; policy accept;
    ip saddr { 172.18.0.0/16, 172.19.0.0/16 } ip saddr != 172.18.0.5 ip daddr . tcp dport @paused drop
  }
}
add element inet tutorops_mongodb paused { 10.0.0.1 . 27117 timeout 1500ms, 10.0.0.11 . 27017 timeout 1500ms }
"""


class Gate:
    def __init__(self, problem: str = "") -> None:
        self.problem = problem
        self.applied: list[tuple[str, str]] = []

    def check(self) -> None:
        if self.problem:
            raise NetworkError(self.problem)

    def apply(self, namespace: str, script: str) -> None:
        self.check()
        self.applied.append((namespace, script))


def pause(gate: Gate) -> PacketPause:
    return PacketPause(lambda: ["172.18.0.0/16", "fd00::/64", "172.19.0.0/16"], lambda: "172.18.0.5", gate)  # type: ignore[arg-type]


def test_the_set_itself_goes_on_and_everything_ends_by_itself() -> None:
    gate = Gate()
    one = pause(gate)
    one.check()
    one.hold(["10.0.0.1:27117", "10.0.0.11:27017"], 1.5)
    one.release()
    assert gate.applied == [("/proc/self/ns/net", SCRIPT), ("/proc/self/ns/net", NO_PAUSE)]


def test_a_host_without_nftables_is_refused_before_anything_moves() -> None:
    one = pause(Gate("nft is not installed on the app server: install the package nftables"))
    with pytest.raises(StoreError, match="cannot be moved: nft is not installed"):
        one.check()
    with pytest.raises(StoreError, match="neither held nor let pass"):
        one.hold(["10.0.0.1:27117"], 1.0)


def test_a_pause_is_never_endless() -> None:
    assert "timeout 1ms" in rules(["10.1.0.0/16"], "10.1.0.2", ["10.0.0.1:27117"], 0.0)
