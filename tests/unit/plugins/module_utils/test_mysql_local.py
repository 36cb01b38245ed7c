# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.docker import Container
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_local import LocalEnd
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_settings import MysqlSettings
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import Unreachable
from test_mysql_settings import SETTINGS


class FakeDocker:
    """Knows where the container is."""

    place: str | None = "172.18.0.5"

    def address(self, project: str, service: str) -> str | None:
        return self.place

    def container(self, project: str, service: str) -> Container | None:
        return None


class Server:
    """A server with a few variables; connections to it are made by calling connect()."""

    def __init__(self) -> None:
        self.variables = {"super_read_only": "OFF", "offline_mode": "OFF", "read_only": "OFF"}
        self.kept: dict[str, str] = {}
        self.said: list[str] = []
        self.opened: list[dict[str, Any]] = []
        self.hangs = ""

    def connect(self, **options: Any) -> Server:
        self.opened.append(options)
        return self

    def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        self.said.append(sql % tuple(args) if args else sql)
        if self.hangs and self.hangs in sql:
            raise Unreachable("no answer in time")
        words = sql.replace("=", " ").split()
        if words[:2] == ["SET", "PERSIST"]:
            self.variables[words[2]] = self.kept[words[2]] = words[3]
        elif words[:2] == ["SET", "GLOBAL"]:
            self.variables[words[2]] = words[3]
        elif words[:2] == ["RESET", "PERSIST"]:
            self.kept.pop(words[-1], None)
        return 0

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[dict[str, Any]]:
        kept = self.kept.get("super_read_only") == "ON"
        return [{"fenced": self.variables["super_read_only"] == "ON", "kept": int(kept)}]

    def value(self, sql: str, args: Sequence[Any] = ()) -> Any:
        return 7

    def close(self) -> None:
        pass

    def restart(self) -> None:
        self.variables = {name: self.kept.get(name, "OFF") for name in self.variables}


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def end(server: Server) -> LocalEnd:
    return LocalEnd(MysqlSettings.from_dict(SETTINGS), FakeDocker(), server.connect)


def test_the_container_is_reached_where_it_is_and_named_as_its_certificate(end: LocalEnd, server: Server) -> None:
    end.closed()
    assert server.opened[0]["via"] == ("172.18.0.5", 3306)
    assert server.opened[0]["host"] == "10.0.0.10"
    assert server.opened[0]["ca"] == "ca.pem"


def test_a_fence_outlives_a_restart(end: LocalEnd, server: Server) -> None:
    end.close(5.0)
    assert end.closed()
    server.restart()
    assert end.closed()
    assert server.variables["offline_mode"] == "ON"


def test_an_open_end_is_open_after_a_restart(end: LocalEnd, server: Server) -> None:
    end.close(5.0)
    end.open()
    assert not end.closed()
    server.restart()
    assert set(server.variables.values()) == {"OFF"}


def test_a_fence_that_is_not_kept_is_none(end: LocalEnd, server: Server) -> None:
    server.execute("SET GLOBAL super_read_only = ON")
    assert not end.closed()


def test_a_fence_waits_for_statements_within_its_time(end: LocalEnd, server: Server) -> None:
    end.close(0.2)
    end.close(60.0)
    waits = [one for one in server.said if "lock_wait_timeout" in one]
    assert waits == ["SET SESSION lock_wait_timeout = 1", "SET SESSION lock_wait_timeout = 4"]


def test_a_fence_that_hangs_cannot_come_later(end: LocalEnd, server: Server) -> None:
    server.hangs = "SET PERSIST super_read_only"
    with pytest.raises(Unreachable):
        end.close(5.0)
    assert server.said[-1] == "KILL 7"


def test_a_container_that_is_gone_is_unreachable(end: LocalEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeDocker, "place", None)
    with pytest.raises(Unreachable, match="tutor local start -d mysql"):
        end.closed()
