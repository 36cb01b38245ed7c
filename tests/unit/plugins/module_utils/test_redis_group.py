# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster in service is completed as it is: what the Sentinels decided stands."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.redis_group import Group
from ansible_collections.tutorops.scale.plugins.module_utils.redis_info import Replication
from ansible_collections.tutorops.scale.plugins.module_utils.redis_members import MemberState
from ansible_collections.tutorops.scale.plugins.module_utils.redis_settings import Member
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError

MEMBERS = tuple(Member(f"db{number}", f"10.0.0.{number}") for number in (1, 2, 3))


class Cluster:
    """db2 was elected while db1 was away. db1 is back as the primary that it was, and follows from a moment on."""

    def __init__(self, converted: float = 9.0, whole: bool = True) -> None:
        self.all = MEMBERS
        self.now = 0.0
        self.converted = converted
        self.whole = whole
        self.did: list[str] = []
        self.group = Group(self, self, lambda: self.now, self._pass)  # type: ignore[arg-type]

    def _pass(self, seconds: float) -> None:
        self.now += seconds

    def states(self) -> list[MemberState]:
        follows = {"role": "slave", "replid": "a", "offset": 9, "host": "10.0.0.2", "port": 6379, "link_up": True}
        earlier = {"role": "master", "replid": "b", "offset": 99} if self.now < self.converted else follows
        place: dict[str, dict[str, Any]] = {
            "db1": follows if self.whole else earlier,
            "db2": {"role": "master", "replid": "a", "offset": 9, "good_replicas": 1},
            "db3": follows,
        }
        return [MemberState(name, True, Replication(**words)) for name, words in place.items()]

    def named(self, name: str) -> Member:
        return next(one for one in MEMBERS if one.name == name)

    def server(self, member: Member) -> Any:
        cluster = self

        class Server:
            def follow(self, where: tuple[str, int]) -> bool:
                cluster.did.append(f"{member.name} follows {where[0]}")
                return True

            def keep(self) -> None:
                pass

        return Server()

    def watched(self) -> dict[str, tuple[str, int] | None]:
        return dict.fromkeys(("db1", "db2", "db3"), ("10.0.0.2", 6379))

    def watch(self, leader: Member) -> bool:
        assert leader.name == "db2"
        return False


def test_a_whole_cluster_is_left_alone() -> None:
    cluster = Cluster()
    assert not cluster.group.complete()
    assert cluster.did == [] and cluster.now == 0.0


def test_an_earlier_primary_is_left_to_the_sentinels_and_waited_for() -> None:
    cluster = Cluster(whole=False)
    assert cluster.group.complete()
    assert cluster.did == [] and 9.0 <= cluster.now < 10.0 and cluster.group.look().whole


def test_an_earlier_primary_that_nobody_converts_is_named() -> None:
    with pytest.raises(StoreError, match="db1 is a primary beside db2, and no Sentinel has it follow"):
        Cluster(converted=1e9, whole=False).group.complete()
