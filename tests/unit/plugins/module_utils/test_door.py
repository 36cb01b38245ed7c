# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door of one store, with an admin socket that answers what a test says; tests/engine/edge asks a real one."""

from __future__ import annotations

import http.server
import json
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.door import StoreDoor, ask_primary
from ansible_collections.tutorops.scale.plugins.module_utils.edge import (
    Edge,
    EdgeError,
    Member,
    Served,
    write_pointer,
)
from ansible_collections.tutorops.scale.plugins.module_utils.paths import Paths
from ansible_collections.tutorops.scale.plugins.module_utils.request_hold import NoRequestHold, RequestHold
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError
from haproxy_world import STATE, Haproxy


@pytest.fixture
def haproxy() -> Iterator[Haproxy]:
    # Not below tmp_path: the path of a socket has to be short.
    with tempfile.TemporaryDirectory() as folder:
        made = Haproxy(Path(folder) / "edge.sock")
        yield made
        made.close()


class TestDoor:
    def door(self, haproxy: Haproxy, tmp_path: Path, primary: str | None = "db1", seconds: float = 1.0) -> StoreDoor:
        served = Served("mysql", 3306, "mysql", 3306, members=(Member("db1", "10.0.0.11", 3306),))
        path = tmp_path / "mysql"
        write_pointer(path, "mysql", "local")
        haproxy.answers["show map"] = "0x1 mysql local\n0x2 mysql cluster\n"
        ticks = iter(range(1000))
        return StoreDoor(
            served,
            Edge(haproxy.path),
            path,
            find_primary=lambda served: primary,
            point_seconds=seconds,
            clock=lambda: next(ticks) * 0.1,
            wait=lambda seconds: None,
        )

    def test_a_primary_that_is_down_for_haproxy_is_taken_as_up(self, haproxy: Haproxy, tmp_path: Path) -> None:
        haproxy.answers["show servers state"] = STATE
        with pytest.raises(EdgeError, match="no usable server of the cluster end"):
            self.door(haproxy, tmp_path).point("cluster")
        assert "set server mysql_cluster/db1 health up" in haproxy.heard

    @pytest.mark.parametrize("primary", [None, "db9"])
    def test_no_primary_is_never_guessed(self, haproxy: Haproxy, tmp_path: Path, primary: str | None) -> None:
        haproxy.answers["show servers state"] = STATE
        with pytest.raises(EdgeError, match="no usable server"):
            self.door(haproxy, tmp_path, primary).point("cluster")
        assert not [line for line in haproxy.heard if "health up" in line]

    def test_a_map_that_did_not_change(self, haproxy: Haproxy, tmp_path: Path) -> None:
        door = self.door(haproxy, tmp_path)
        haproxy.answers["show map"] = "0x1 mysql local\n"
        with pytest.raises(EdgeError, match="did not take over the pointer"):
            door.point("cluster")

    def test_a_local_end_in_maintenance_is_made_ready(self, haproxy: Haproxy, tmp_path: Path) -> None:
        haproxy.answers["show servers state"] = STATE.replace("172.18.0.5 2 0", "172.18.0.5 0 1")
        with pytest.raises(EdgeError, match="no usable server of the local end"):
            self.door(haproxy, tmp_path).point("local")
        assert "set server mysql_local/local state ready" in haproxy.heard

    def test_a_release_gives_the_store_its_own_limit_back(self, haproxy: Haproxy, tmp_path: Path) -> None:
        door = self.door(haproxy, tmp_path)
        door.hold()
        door.release()
        assert haproxy.heard == ["set maxconn frontend mysql 0", "set maxconn frontend mysql 2000"]


class FakeRequests:
    """A request hold that writes down what is asked of it."""

    def __init__(self, heard: list[str]) -> None:
        self.heard = heard
        self.under_way = 0
        self.on = False
        self.refuses = False

    def hold(self, seconds: float) -> None:
        if self.refuses:
            raise StoreError("no Caddy")
        self.heard.append(f"hold requests for {seconds:g} s")
        self.on = True

    def drained(self) -> bool:
        self.under_way = max(self.under_way - 1, 0)
        return self.on and self.under_way == 0

    def release(self) -> None:
        if self.on:
            self.heard.append("release requests")
        self.on = False

    def held(self) -> bool:
        return self.on


class TestHolds:
    """What a store holds, and in which order."""

    @pytest.fixture
    def requests(self, haproxy: Haproxy) -> FakeRequests:
        haproxy.answers["show stat"] = "# pxname,svname,scur,slim\nredis,FRONTEND,7,2000\n\n"
        return FakeRequests(haproxy.heard)

    def door(self, haproxy: Haproxy, tmp_path: Path, hold: str, requests: FakeRequests) -> StoreDoor:
        write_pointer(tmp_path / "redis", "redis", "local")
        ticks = iter(range(1000))
        return StoreDoor(
            Served("redis", 6379, "redis", 6379, hold=hold),
            Edge(haproxy.path),
            tmp_path / "redis",
            requests=requests,
            clock=lambda: next(ticks) * 0.1,
            wait=lambda seconds: None,
        )

    def test_requests_first_and_connections_when_they_have_ended(
        self, haproxy: Haproxy, tmp_path: Path, requests: FakeRequests
    ) -> None:
        door = self.door(haproxy, tmp_path, "both", requests)
        requests.under_way = 3
        door.hold(8)
        door.release()
        assert haproxy.heard == [
            "hold requests for 8 s",
            "set maxconn frontend redis 0",
            "set maxconn frontend redis 2000",
            "release requests",
        ]

    def test_a_request_that_does_not_end_is_not_waited_for(
        self, haproxy: Haproxy, tmp_path: Path, requests: FakeRequests
    ) -> None:
        requests.under_way = 1000
        self.door(haproxy, tmp_path, "both", requests).hold(8)
        assert "set maxconn frontend redis 0" in haproxy.heard

    def test_a_store_past_the_edge_holds_requests_alone(
        self, haproxy: Haproxy, tmp_path: Path, requests: FakeRequests
    ) -> None:
        self.door(haproxy, tmp_path, "requests", requests).hold(8)
        assert haproxy.heard == ["hold requests for 8 s"]

    def test_requests_that_cannot_be_held_leave_connections_alone(
        self, haproxy: Haproxy, tmp_path: Path, requests: FakeRequests
    ) -> None:
        requests.refuses = True
        with pytest.raises(StoreError, match="no Caddy"):
            self.door(haproxy, tmp_path, "both", requests).hold(8)
        assert not haproxy.heard

    def test_an_edge_that_does_not_answer_does_not_keep_requests_held(
        self, haproxy: Haproxy, tmp_path: Path, requests: FakeRequests
    ) -> None:
        door = self.door(haproxy, tmp_path, "both", requests)
        door.hold(8)
        haproxy.answers["set maxconn"] = "no such frontend\n"
        with pytest.raises(EdgeError):
            door.release()
        assert not requests.held()

    def test_connections_of_pools_count_until_requests_have_ended(
        self, haproxy: Haproxy, tmp_path: Path, requests: FakeRequests
    ) -> None:
        door = self.door(haproxy, tmp_path, "both", requests)
        assert door.connections() == 7
        door.hold(8)
        requests.under_way = 2
        assert [door.connections(), door.connections()] == [7, 0]

    def test_either_hold_is_told(self, haproxy: Haproxy, tmp_path: Path, requests: FakeRequests) -> None:
        door = self.door(haproxy, tmp_path, "both", requests)
        assert not door.held()
        requests.on = True
        assert door.held()
        requests.on = False
        haproxy.answers["show stat"] = "# pxname,svname,scur,slim\nredis,FRONTEND,7,0\n\n"
        assert door.held()

    def test_without_a_health_endpoint_any_member_that_the_edge_takes_as_up_will_do(
        self, haproxy: Haproxy, tmp_path: Path, requests: FakeRequests
    ) -> None:
        door = self.door(haproxy, tmp_path, "requests", requests)
        haproxy.answers["show map"] = "0x1 redis cluster\n"
        haproxy.answers["show servers state"] = STATE.replace("mysql", "redis")
        with pytest.raises(EdgeError, match="no usable server of the cluster end"):
            door.point("cluster")
        haproxy.answers["show servers state"] = STATE.replace("mysql", "redis").replace("10.0.0.11 0", "10.0.0.11 2")
        door.point("cluster")


class TestOpen:
    """What edge.json makes of a door."""

    @pytest.mark.parametrize(("hold", "kind"), [("connections", NoRequestHold), ("both", RequestHold)])
    def test_a_store_gets_the_hold_that_it_wants(self, tmp_path: Path, hold: str, kind: type) -> None:
        paths = Paths(tmp_path, tmp_path, tmp_path)
        served = {"port": 6379, "service": "redis", "service_port": 6379, "hold": hold}
        edge = {"address": "10.0.0.10", "compose_project": "tutor_local", "stores": {"redis": served}}
        paths.edge.write_text(json.dumps(edge), encoding="utf-8")
        assert isinstance(StoreDoor.open("redis", paths).requests, kind)


class TestAskPrimary:
    def test_the_one_that_says_so(self) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                yes = self.server.server_address[0] == "127.0.0.3" and self.path == "/primary"
                self.send_response(200 if yes else 503)
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        first = http.server.HTTPServer(("127.0.0.2", 0), Handler)
        port = first.server_address[1]
        servers = [first, http.server.HTTPServer(("127.0.0.3", port), Handler)]
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        # One does not answer at all.
        members = tuple(Member(f"db{number}", f"127.0.0.{number}", 3306) for number in (4, 2, 3))
        try:
            served = Served("mysql", 3306, "mysql", 3306, health_port=port, members=members)
            assert ask_primary(served) == "db3"
            assert ask_primary(Served("mysql", 3306, "mysql", 3306, health_port=port, members=members[:2])) is None
        finally:
            for server in servers:
                server.shutdown()
                server.server_close()

    def test_no_members_no_primary(self) -> None:
        assert ask_primary(Served("mysql", 3306, "mysql", 3306)) is None
