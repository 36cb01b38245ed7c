# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real HAProxy does for stores whose members speak TLS, and for clients that know the members by themselves."""

from __future__ import annotations

import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from edge_world import CONTAINER, DB1, DB2, EDGE, eventually
from tls_world import LONELY, REPLICA, Authority, TlsWorld, ask

#: Long enough for a few checks.
A_WHILE = 2.0


def up(world: TlsWorld, backend: str, server: str) -> bool:
    return any(one.up for one in world.edge.servers(backend) if one.name == server)


class TestCluster:
    def test_clients_reach_the_primary_in_plain_and_it_is_reached_by_tls(self, tls_world: TlsWorld) -> None:
        tls_world.member("db1", DB1).replication = REPLICA
        tls_world.member("db2", DB2)
        eventually(lambda: up(tls_world, "redis_cluster", "db2") and not up(tls_world, "redis_cluster", "db1"))
        assert ask(tls_world.redis_port) == "+db2"
        assert tls_world.members["db2"].users == {"watcher"}

    def test_a_primary_whose_writes_reach_no_replica_is_none(self, tls_world: TlsWorld) -> None:
        tls_world.member("db1", DB1).replication = LONELY
        tls_world.member("db2", DB2).replication = REPLICA
        eventually(lambda: not up(tls_world, "redis_cluster", "db1") and not up(tls_world, "redis_cluster", "db2"))
        tls_world.members["db2"].replication = "role:master\r\nmin_slaves_good_slaves:1\r\n"
        eventually(lambda: up(tls_world, "redis_cluster", "db2"))

    def test_one_with_a_certificate_of_somebody_else_is_down(self, tls_world: TlsWorld, tmp_path: Path) -> None:
        tls_world.member("db1", DB1, authority=Authority(tmp_path))
        tls_world.member("db2", DB2, calls="db1")
        eventually(lambda: not up(tls_world, "redis_cluster", "db1") and not up(tls_world, "redis_cluster", "db2"))
        time.sleep(A_WHILE)
        assert not up(tls_world, "redis_cluster", "db1") and not up(tls_world, "redis_cluster", "db2")

    def test_the_local_end_follows_a_replica_by_the_way_back(self, tls_world: TlsWorld) -> None:
        tls_world.member("db1", DB1)
        tls_world.member("db2", DB2).replication = REPLICA
        eventually(lambda: up(tls_world, "redis_way_back", "db2") and not up(tls_world, "redis_way_back", "db1"))
        # Whatever the pointer says, and also while new clients wait.
        tls_world.write_pointer("local", "redis")
        tls_world.edge.limit("redis", 0)
        assert ask(tls_world.way_back_port) == "+db2"
        assert ask(tls_world.way_back_port, source=DB1) == ""


class TestContainer:
    def test_clients_wait_for_a_container_until_it_is_open(self, tls_world: TlsWorld) -> None:
        container = tls_world.container()
        container.replication = REPLICA
        tls_world.write_pointer("local", "redis")
        tls_world.follow()
        tls_world.edge.set_map(tls_world.paths.pointer("redis"), "redis", "local")
        eventually(lambda: not up(tls_world, "redis_local", "local"))
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask, tls_world.redis_port)
            time.sleep(A_WHILE)
            assert not asked.done()
            container.replication = "role:master\r\n"
            assert asked.result(15) == "+local"

    def test_one_that_is_not_prepared_yet_answers_anybody(self, tls_world: TlsWorld) -> None:
        tls_world.container().knows = "nobody"
        tls_world.write_pointer("local", "redis")
        tls_world.follow()
        tls_world.edge.set_map(tls_world.paths.pointer("redis"), "redis", "local")
        eventually(lambda: up(tls_world, "redis_local", "local"))
        assert ask(tls_world.redis_port) == "+local"


class TestSource:
    @pytest.fixture
    def member(self, tls_world: TlsWorld) -> ssl.SSLContext:
        """What a member of the cluster connects with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(tls_world.authority.path)
        context.load_cert_chain(*tls_world.authority.make("db1"))
        return context

    def test_a_member_with_a_certificate_reaches_the_container(
        self, tls_world: TlsWorld, member: ssl.SSLContext
    ) -> None:
        tls_world.serve("local", CONTAINER)
        tls_world.follow()
        tls_world.paths.clients.write_text(f"{EDGE}/32\n", encoding="utf-8")
        assert ask(tls_world.redis_source_port, DB1, member) == "local"

    @pytest.mark.parametrize("lacks", ["certificate", "authority", "tls"])
    def test_nobody_else_does(self, tls_world: TlsWorld, tmp_path: Path, lacks: str) -> None:
        tls_world.serve("local", CONTAINER)
        tls_world.follow()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(tls_world.authority.path)
        if lacks == "authority":
            context.load_cert_chain(*Authority(tmp_path).make("db1"))
        assert ask(tls_world.redis_source_port, DB1, None if lacks == "tls" else context) == ""

    def test_not_even_a_member_s_certificate_opens_it_from_elsewhere(
        self, tls_world: TlsWorld, member: ssl.SSLContext
    ) -> None:
        tls_world.serve("local", CONTAINER)
        tls_world.follow()
        assert ask(tls_world.redis_source_port, "127.8.1.9", member) == ""


class TestSeed:
    def test_it_leads_to_the_container_until_the_pointer_says_otherwise(self, tls_world: TlsWorld) -> None:
        tls_world.serve("local", CONTAINER)
        tls_world.serve("db2", DB2)
        tls_world.follow()
        assert ask(tls_world.mongodb_port) == "local"
        tls_world.write_pointer("cluster", "mongodb")
        tls_world.edge.set_map(tls_world.paths.pointer("mongodb"), "mongodb", "cluster")
        eventually(lambda: not up(tls_world, "mongodb_cluster", "db1"))
        assert ask(tls_world.mongodb_port) == "db2"

    def test_the_container_s_own_name_is_open_to_members_and_clients(self, tls_world: TlsWorld) -> None:
        tls_world.serve("local", CONTAINER)
        tls_world.follow()
        clients = tls_world.edge.entries(tls_world.paths.clients)
        for entry in set(clients) - {f"{EDGE}/32"}:
            tls_world.edge.delete_entry(tls_world.paths.clients, entry)
        for source in (DB1, EDGE):
            assert ask(tls_world.mongodb_source_port, source) == "local"
        assert ask(tls_world.mongodb_source_port, "127.8.1.9") == ""
