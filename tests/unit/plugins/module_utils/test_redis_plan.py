# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan says of Redis, out of what a server answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.docker import DockerError
from ansible_collections.tutorops.scale.plugins.module_utils.redis_facts import (
    Reader,
    Refused,
    SourceFacts,
    quoted,
    read_source,
)
from ansible_collections.tutorops.scale.plugins.module_utils.redis_plan import PlanFacts, estimate, judge
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import Finding, StoreError

MB = 1_000_000
SOURCE = SourceFacts(version="7.4.2", role="master", sharded=False, bytes=60 * MB, keys=1200)
MEMBER = {"server_version": "7.4.5", "version_installed": "6:7.4.5-1", "version_candidate": "6:7.4.5-1", "key_count": 0,
          "port": 6379, "port_taken_by": None, "sentinel_port_taken_by": None,
          "data_dir_bytes_free": 9000 * MB}  # fmt: skip


def facts(source: SourceFacts = SOURCE, count: int = 3, member: dict[str, Any] | None = None, **more: Any) -> PlanFacts:
    members = [{**MEMBER, **(member or {}), "host": f"data{number}"} for number in range(1, count + 1)]
    return PlanFacts(source, members, **{"maxmemory": "512mb", "app_password": "plain1", **more})


def found(given: PlanFacts) -> dict[str, Finding]:
    return {one.id: one for one in judge(given)}


def test_a_usual_site_has_nothing_but_the_outlook() -> None:
    told = judge(facts(tutor_changes=["REDIS_HOST"]))
    assert {one.id for one in told} == {"redis.duration", "redis.tutor_keys"}
    assert not [one for one in told if one.severity != "info"]
    outlook = estimate(facts())
    assert (outlook.bytes, outlook.way) == (60 * MB, "replication")
    assert 15 <= outlook.follow_seconds < 60


def test_the_stall_does_not_grow_with_the_data() -> None:
    small, large = (estimate(facts(replace(SOURCE, bytes=size * MB))) for size in (1, 100_000))
    assert small.stall_seconds == large.stall_seconds
    assert small.follow_seconds < large.follow_seconds


@pytest.mark.parametrize(
    ("wrong", "identity", "said"),
    [
        ({"version": "5.0.14"}, "redis.version.source", "older than 6.2"),
        ({"version": "?"}, "redis.version.source", "older than 6.2"),
        ({"sharded": True}, "redis.sharded", "shards"),
        ({"role": "slave"}, "redis.follows", "follows another server"),
        ({"bytes": 500 * MB}, "redis.memory", "redis_maxmemory"),
    ],
)
def test_sources_that_cannot_move_block(wrong: dict[str, Any], identity: str, said: str) -> None:
    one = found(facts(replace(SOURCE, **wrong)))[identity]
    assert one.blocks and said in one.message and one.cure


@pytest.mark.parametrize(
    ("wrong", "identity", "said"),
    [
        ({"server_version": "7.2.4"}, "redis.series", "cannot read"),
        ({"server_version": None, "version_installed": "5:6.2.1-1"}, "redis.series", "cannot read"),
        ({"key_count": 3}, "redis.target_data", "3 keys"),
        ({"port_taken_by": "nginx"}, "redis.port", "6379 is taken by nginx"),
        ({"sentinel_port_taken_by": "nginx"}, "redis.port", "26379 is taken by nginx"),
        ({"data_dir_bytes_free": 100 * MB}, "redis.space", "are needed"),
    ],
)
def test_members_that_cannot_take_it_block(wrong: dict[str, Any], identity: str, said: str) -> None:
    one = found(facts(member=wrong))[identity]
    assert one.blocks and one.subject == "data3" and said in one.message and one.cure


def test_a_sentinel_s_port_that_is_taken_is_told_by_its_number() -> None:
    told = found(facts(member={"sentinel_port_taken_by": "nginx"}, sentinel_port=26380))
    assert "port 26380 is taken" in told["redis.port"].message


def test_two_members_are_too_few() -> None:
    assert found(facts(count=2))["redis.members.count"].blocks


def test_keys_of_a_member_are_our_own_copy_once_attached() -> None:
    given = facts(replace(SOURCE, role="slave"), member={"key_count": 1200}, attached=True)
    assert not [one for one in judge(given) if one.blocks]


@pytest.mark.parametrize(("password", "blocks"), [("plain.1-a_b~", False), ("a/b", True), ("a b", True), ("a@b", True)])
def test_a_password_that_addresses_cannot_hold_blocks(password: str, blocks: bool) -> None:
    assert ("redis.password" in found(facts(app_password=password))) is blocks


def test_a_newer_series_is_told_for_the_way_back() -> None:
    one = found(facts(member={"server_version": "8.0.2"}))["redis.series"]
    assert one.severity == "warning" and "way back" in one.message


def test_what_the_distribution_would_give_says_nothing_yet() -> None:
    told = found(facts(member={"server_version": None, "version_installed": None, "version_candidate": "5:8.0.2-3"}))
    assert "redis.series" not in told and told["redis.version.unknown"].severity == "info"


def test_what_differs_on_the_cluster_is_told() -> None:
    told = found(facts(replace(SOURCE, modules=("search",), maxmemory=100 * MB, policy="allkeys-lru")))
    assert told["redis.modules"].severity == "warning" and "search" in told["redis.modules"].message
    assert "queued tasks" in told["redis.eviction"].message


class FakeDocker:
    """A container whose client answers."""

    def __init__(self, answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Sequence[str], str]] = []

    def execute(self, container: str, command: Sequence[str], given: str, timeout: float) -> str:
        self.asked.append((command, given))
        answer = self.answers.pop(0)
        if answer == "gone":
            raise DockerError("the container is gone")
        return answer


INFO = """# Server
redis_version:7.4.2
used_memory_dataset:4000000
# Modules
module:name=search,ver=1
role:master
cluster_enabled:0
db0:keys=7,expires=1
db1:keys=5,expires=5
"""
HELD = "maxmemory\n1000\nmaxmemory-policy\nallkeys-lru\nmaxmemory-samples\n5\n"


def reader(*answers: str, user: str = "", password: str = "") -> Reader:
    docker: Any = FakeDocker(answers)
    made = Reader(docker, "redis-1", 6379, user, password)
    made.docker = docker  # type: ignore[attr-defined]
    return made


def test_the_source_is_read() -> None:
    assert read_source(reader(INFO, HELD)) == SourceFacts(
        "7.4.2", "master", False, 4_000_000, 12, ("search",), 1000, "allkeys-lru"
    )


def test_a_password_goes_in_by_standard_input() -> None:
    one = reader("OK\n" + INFO, "OK\n" + HELD, user="openedx", password='pa"ss\n é')
    read_source(one)
    for command, given in one.docker.asked:  # type: ignore[attr-defined]
        assert not [word for word in command if "pa" in word]
        assert given.startswith(f"AUTH {quoted('openedx')} {quoted(chr(112))[:-1]}") and given.count("\n") == 2


@pytest.mark.parametrize("answer", ["NOAUTH Authentication required.", "WRONGPASS invalid\nNOAUTH Authentication"])
def test_a_refused_login_is_told_as_one(answer: str) -> None:
    with pytest.raises(Refused, match=r"NOAUTH|WRONGPASS"):
        read_source(reader(answer, user="openedx", password="wrong"))


@pytest.mark.parametrize("answer", ["LOADING Redis is loading", "Could not connect to Redis", "gone", "nothing of use"])
def test_a_server_that_does_not_answer_is_told(answer: str) -> None:
    with pytest.raises(StoreError, match="Tutor's Redis"):
        read_source(reader(answer))
