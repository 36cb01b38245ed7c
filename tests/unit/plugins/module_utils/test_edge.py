# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said to HAProxy's admin socket and made of its answers; tests/engine/edge asks a real one."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.edge import (
    Edge,
    EdgeError,
    EdgeSettings,
    Member,
    Server,
    read_pointer,
    write_pointer,
)
from haproxy_world import STATE, Haproxy


@pytest.fixture
def haproxy() -> Iterator[Haproxy]:
    # Not below tmp_path: the path of a socket has to be short.
    with tempfile.TemporaryDirectory() as folder:
        made = Haproxy(Path(folder) / "edge.sock")
        yield made
        made.close()


@pytest.fixture
def edge(haproxy: Haproxy) -> Edge:
    return Edge(haproxy.path, timeout=0.5)


def test_servers_are_read_from_the_state(haproxy: Haproxy, edge: Edge) -> None:
    haproxy.answers["show servers state"] = STATE
    local, waiting, db1, db2 = edge.servers()
    assert local == Server("mysql_local", "local", "172.18.0.5", 3306, maintenance=False, up=True)
    # At a port where nothing listens it has no address yet.
    assert (waiting.address, waiting.usable) == ("", False)
    assert (db1.up, db1.usable) == (False, False)
    assert (db2.up, db2.maintenance, db2.usable) == (True, True, False)
    assert [one.name for one in edge.servers("mysql_cluster")] == ["db1", "db2"]


def test_a_hold_is_a_limit_of_zero(haproxy: Haproxy, edge: Edge) -> None:
    haproxy.answers["show stat"] = "# pxname,svname,scur,slim\nmysql,FRONTEND,3,0\n\n"
    assert edge.held("mysql")
    assert edge.frontend("mysql")["scur"] == "3"
    haproxy.answers["show stat"] = "# pxname,svname,scur,slim\nmysql,FRONTEND,3,2000\n\n"
    assert not edge.held("mysql")


def test_a_frontend_that_is_not_there(haproxy: Haproxy, edge: Edge) -> None:
    haproxy.answers["show stat"] = "# pxname,svname,scur,slim\n\n"
    with pytest.raises(EdgeError, match="no frontend 'mysql'"):
        edge.frontend("mysql")


SESSIONS = """\
0x7f80: proto=tcpv4 src=10.0.0.1:1 fe=mysql be=mysql_cluster srv=db1 ts=00 scf=[8,0h,fd=1] scb=[8,1h,fd=2] exp=
0x7f81: proto=tcpv4 src=10.0.0.1:2 fe=mysql be=mysql_cluster srv=db1 ts=00 scf=[8,0h,fd=3] scb=[5,1h,fd=4] exp=
0x7f82: proto=tcpv4 src=10.0.0.1:3 fe=mysql be=mysql_cluster srv=db2 ts=00 scf=[8,0h,fd=5] scb=[8,1h,fd=6] exp=
0x7f83: proto=tcpv4 src=10.0.0.1:4 fe=mysql be=mysql_cluster srv=db1 ts=00 s0=[8,0h,fd=5] s1=[8,1h,fd=6] exp=
0x7f84: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 scf=[8,0h,fd=7] scb=[8,1h,fd=-1] exp=

"""


def test_only_established_sessions_of_a_server_are_closed(haproxy: Haproxy, edge: Edge) -> None:
    haproxy.answers["show sess"] = SESSIONS
    edge.shutdown(("mysql_cluster", "db1"))
    assert haproxy.heard == ["show sess", "shutdown session 0x7f80", "shutdown session 0x7f83"]


def test_a_session_that_ended_meanwhile_is_as_good(haproxy: Haproxy, edge: Edge) -> None:
    haproxy.answers["show sess"] = SESSIONS
    haproxy.answers["shutdown session"] = "No such session (use 'show sess').\n"
    edge.shutdown(("mysql_cluster", "db2"))


def test_maps_and_lists(haproxy: Haproxy, edge: Edge) -> None:
    haproxy.answers["show map"] = "0x7f5fc7353020 mysql local\n0x7f5fc7353060 redis cluster\n\n"
    haproxy.answers["show acl"] = "0x7f5fc8241600 127.0.0.0/8\n0x7f5fc8241680 172.29.50.5/32\n\n"
    assert edge.map_holds(Path("/pointer"), "mysql", "local")
    assert not edge.map_holds(Path("/pointer"), "mysql", "cluster")
    assert edge.entries(Path("/clients")) == ["127.0.0.0/8", "172.29.50.5/32"]


@pytest.mark.parametrize(
    "answer", ["\n", "IP changed from '1' to '2' by 'stats socket command'\n", "no need to change\n"]
)
def test_what_haproxy_says_when_it_works(haproxy: Haproxy, edge: Edge, answer: str) -> None:
    haproxy.answers["set server"] = answer
    edge.set_address("mysql_local", "local", "172.18.0.5", 3306)
    assert haproxy.heard == ["set server mysql_local/local addr 172.18.0.5 port 3306"]


def test_anything_else_is_a_refusal(haproxy: Haproxy, edge: Edge) -> None:
    haproxy.answers["set server"] = "No such server.\n"
    with pytest.raises(EdgeError, match="the edge refused 'set server mysql_local/local state maint': No such server"):
        edge.set_state("mysql_local", "local", "maint")


def test_an_edge_that_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="does not answer on .*systemctl status tutorops-edge"):
        Edge(tmp_path / "none").state()


def test_an_edge_that_hangs(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(f"{folder}/edge.sock")
        deaf.listen()
        with pytest.raises(EdgeError, match="timed out"):
            Edge(Path(folder) / "edge.sock", timeout=0.05).state()


class TestPointer:
    @pytest.mark.parametrize("end", ["local", "cluster"])
    def test_it_comes_back(self, tmp_path: Path, end: str) -> None:
        write_pointer(tmp_path / "mysql", "mysql", end)
        assert read_pointer(tmp_path / "mysql", "mysql") == end
        # HAProxy reads it as a map, after it gave up its rights.
        assert (tmp_path / "mysql").stat().st_mode & 0o777 == 0o644

    @pytest.mark.parametrize("text", ["", "mysql", "mysql nowhere", "redis local", "mysql local cluster"])
    def test_what_it_must_not_hold(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "mysql").write_text(text)
        with pytest.raises(EdgeError, match="instead of 'mysql local' or 'mysql cluster'"):
            read_pointer(tmp_path / "mysql", "mysql")

    def test_one_that_is_gone_is_no_reason_to_guess(self, tmp_path: Path) -> None:
        with pytest.raises(EdgeError, match="restore it before anything else"):
            read_pointer(tmp_path / "mysql", "mysql")

    def test_an_end_is_one_of_two(self, tmp_path: Path) -> None:
        with pytest.raises(EdgeError, match="called local or cluster"):
            write_pointer(tmp_path / "mysql", "mysql", "nowhere")
        assert not (tmp_path / "mysql").exists()

    def test_a_disk_that_refuses(self, tmp_path: Path) -> None:
        with pytest.raises(EdgeError, match="cannot be written on the app server"):
            write_pointer(tmp_path / "none" / "mysql", "mysql", "local")


class TestSettings:
    GIVEN = {
        "address": "10.0.0.10",
        "compose_project": "tutor_local",
        "stores": {
            "mysql": {
                "port": 3306,
                "service": "mysql",
                "service_port": "3306",
                "health_port": 9200,
                "source_port": None,
                "members": [{"name": "db1", "address": "10.0.0.11", "port": "3306"}],
            }
        },
    }

    def test_they_are_read_with_their_defaults(self) -> None:
        store = EdgeSettings.from_dict(self.GIVEN).store("mysql")
        assert (store.service_port, store.source_port, store.health_port, store.maxconn) == (3306, 0, 9200, 2000)
        assert store.members == (Member("db1", "10.0.0.11", 3306),)

    def test_what_cannot_be_held_is_refused(self) -> None:
        given = {**self.GIVEN, "stores": {"redis": {"port": 1, "service": "r", "service_port": 1, "hold": "breath"}}}
        with pytest.raises(EdgeError, match="holds 'breath' for store redis, but it can only hold connections"):
            EdgeSettings.from_dict(given)

    def test_a_store_that_is_not_served(self) -> None:
        with pytest.raises(EdgeError, match="serves no store 'redis', only mysql"):
            EdgeSettings.from_dict(self.GIVEN).store("redis")
