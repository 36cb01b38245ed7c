# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import mysql_channel, mysql_checks
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_channel import ChannelState
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import MysqlError
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_member import MemberState
from ansible_collections.tutorops.scale.plugins.module_utils.stores import mysql
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import (
    CLUSTER,
    LOCAL,
    Session,
    StoreError,
    Unreachable,
)
from ansible_collections.tutorops.scale.plugins.module_utils.stores.mysql import MysqlStore
from test_mysql_settings import SETTINGS

RUNS = ChannelState("10.0.0.10", 13306, "ON", "ON", "", 5, "")
EDGE = "172.18.0.1"


class End:
    """An end that is where a test wants it."""

    def __init__(self, name: str, closed: bool) -> None:
        self.name = name
        self.is_closed = closed
        self.server = SimpleNamespace(value=self.value, query=self.query)
        self.version = "8.4.11"
        self.names: dict[str, list[str]] = {}
        self.clients = [Session("openedx", EDGE, 0.0, False)]
        self.members = [MemberState(one, reachable=True, state="ONLINE") for one in ("db1", "db2", "db3")]
        self.missing, self.behind = "", 0.0
        self.unfollowed = self.left = 0

    def value(self, sql: str, args: Any = ()) -> Any:
        if "GTID_SUBTRACT" in sql:
            return self.missing
        if "@@version" in sql:
            return self.version
        return self.behind if "TIMESTAMPDIFF" in sql else ""

    def query(self, sql: str, args: Any = ()) -> list[dict[str, Any]]:
        word = next(word for word in ("collation", "plugin", "data_type") if word in sql)
        return [{"n": name} for name in self.names.get(word, [])]

    def closed(self) -> bool:
        return self.is_closed

    def sessions(self) -> list[Session]:
        return self.clients

    def states(self) -> list[MemberState]:
        return self.members

    def unfollow(self) -> None:
        self.unfollowed += 1

    def leave_channels(self) -> None:
        self.left += 1


class World:
    """A store whose ends, door and channel a test can change."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pointer, self.channel = LOCAL, RUNS
        self.folder = folder
        door: Any = SimpleNamespace(pointer=lambda: self.pointer)
        self.store: Any = MysqlStore.from_settings({**SETTINGS, "state_directory": str(folder)}, door)
        self.local, self.cluster = End(LOCAL, False), End(CLUSTER, True)
        self.store.local, self.store.cluster = self.local, self.cluster
        monkeypatch.setattr(mysql_channel, "look", lambda server, name: self.channel)
        monkeypatch.setattr(mysql_checks, "own_address", lambda server: EDGE)
        self.compared()

    def compared(self, equal: bool = True, hours: float = 1.0, serving: str = LOCAL) -> None:
        at = datetime.now(timezone.utc) - timedelta(hours=hours)
        found = {"equal": equal, "at": at.isoformat(), "serving": serving}
        (self.folder / "compare.json").write_text(json.dumps(found))

    def cut_over(self) -> None:
        self.pointer = CLUSTER
        self.local.is_closed, self.cluster.is_closed = True, False


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_a_store_in_order_is_ready_in_both_directions(world: World) -> None:
    world.store.ready()
    world.cut_over()
    (world.folder / "compare.json").unlink()
    world.store.ready()


def test_what_is_not_in_order_is_refused_in_words(world: World) -> None:
    def refused(words: str) -> None:
        with pytest.raises(StoreError, match=words):
            world.store.ready()

    world.cluster.members[1] = MemberState("db2", reachable=True, state="RECOVERING")
    refused(r"not ONLINE: db2 \(RECOVERING\)")
    world.cluster.members[1] = MemberState("db2", reachable=True, state="ONLINE")
    world.cluster.is_closed = False
    refused("the cluster end of store mysql takes writes")
    world.cluster.is_closed = True
    world.channel = ChannelState("10.0.0.10", 13306, "CONNECTING", "ON", "", 5, "Access denied")
    refused("does not follow: Access denied")
    world.channel = RUNS
    world.local.missing, world.cluster.behind = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9", 9.0
    refused(r"9 transaction\(s\), 9.0 s, behind")
    world.local.missing = ""
    world.local.clients.append(Session("reports", "172.18.0.9", 100.0, False))
    refused("without the edge: reports from 172.18.0.9; point them at 10.0.0.10")


@pytest.mark.parametrize(("equal", "hours", "words"), [(False, 1.0, "compare first"), (True, 30.0, "30 h old")])
def test_an_old_or_bad_comparison_does_not_count(world: World, equal: bool, hours: float, words: str) -> None:
    world.compared(equal, hours)
    with pytest.raises(StoreError, match=words):
        world.store.ready()


def test_a_way_back_into_another_series_wants_a_comparison_since_the_cutover(world: World) -> None:
    world.cluster.version = "9.7.4"
    world.store.ready()
    world.cut_over()
    with pytest.raises(StoreError, match="not been found equal since the cluster serves: run the stage compare first"):
        world.store.ready()
    world.compared(serving=CLUSTER)
    world.store.ready()
    world.compared(serving=CLUSTER, equal=False)
    with pytest.raises(StoreError, match="not been found equal"):
        world.store.ready()


def test_what_the_old_server_does_not_know_blocks_the_way_back_and_is_told(world: World) -> None:
    world.cluster.version = "9.7.4"
    world.cut_over()
    world.compared(serving=CLUSTER)
    status = world.store.status()
    assert status["way_back"] is True and status["trouble"] == []
    assert status["way_back_limit"].startswith("from MySQL 9.7 back to 8.4, for a rollback only")
    world.cluster.names = {"data_type": ["int", "vector"], "collation": ["utf8mb4_new_ci", "utf8mb4_bin"]}
    world.local.names = {"collation": ["utf8mb4_bin"]}
    assert world.store.status()["trouble"] == [
        "the way back is blocked by collations utf8mb4_new_ci",
        "the way back is blocked by types vector",
    ]
    with pytest.raises(StoreError, match=r"uses what MySQL 8.4 .* does not know .collations utf8mb4_new_ci; types vec"):
        world.store.ready()


def test_within_a_series_nothing_limits_the_way_back(world: World) -> None:
    world.cut_over()
    world.cluster.names = {"data_type": ["vector"]}
    assert "way_back_limit" not in world.store.status()


def test_a_commit_ends_the_way_back(world: World) -> None:
    world.cut_over()
    assert world.store.status()["stage"] == "cutover" and world.store.status()["way_back"] is True
    world.store.commit()
    assert (world.local.unfollowed, world.cluster.left) == (1, 1)
    world.channel = None
    status = world.store.status()
    assert (status["stage"], status["way_back"]) == ("committed", False)
    with pytest.raises(StoreError, match="no way back"):
        world.store.ready()


def test_the_stage_is_read_from_the_channel(world: World) -> None:
    assert world.store.status()["stage"] == "following"
    world.channel = None
    assert world.store.status()["stage"] == "attached"


def test_a_store_that_its_cluster_serves_is_not_detached(world: World) -> None:
    world.cut_over()
    with pytest.raises(StoreError, match="roll it back"):
        world.store.detach()


@pytest.mark.parametrize(
    ("answer", "fenced"),
    [
        (1, True),
        (0, False),
        (Unreachable("it boots"), None),
        (MysqlError("access denied", 1045), False),
        (StoreError("a certificate that cannot be trusted"), False),
    ],
)
def test_the_follower_learns_whether_the_container_is_fenced(
    answer: Any, fenced: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Server:
        def __init__(self, **options: Any) -> None:
            assert options["via"] == ("172.18.0.5", 3306)
            if isinstance(answer, StoreError):
                raise answer

        def value(self, sql: str) -> Any:
            return answer

    monkeypatch.setattr(mysql, "Connection", Server)
    assert MysqlStore.probe(SETTINGS)("172.18.0.5", 3306) is fenced
