# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real HAProxy does with the role's configuration, the door and the follower."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.edge import EdgeError
from ansible_collections.tutorops.scale.plugins.module_utils.edge_service import EdgeService
from ansible_collections.tutorops.scale.plugins.module_utils.flip_marker import FlipMarker
from edge_world import CONTAINER, DB1, DB2, OTHER_CONTAINER, World, eventually

#: Long enough that an answer which must not come would have come.
A_MOMENT = 0.5


def up(world: World, backend: str, server: str) -> bool:
    return any(one.up for one in world.edge.servers(backend) if one.name == server)


def local_runs(world: World) -> None:
    world.serve("local", CONTAINER)
    world.docker.found = CONTAINER
    world.follow()


def cluster_runs(world: World, primary: str = "db1") -> None:
    world.serve("db1", DB1)
    world.serve("db2", DB2)
    world.health[primary].primary = True
    eventually(lambda: up(world, "mysql_cluster", primary))


class TestHold:
    def test_a_connection_waits_and_then_is_served(self, world: World) -> None:
        local_runs(world)
        door = world.door()
        door.hold()
        waiting = world.client()
        time.sleep(A_MOMENT)
        assert waiting.reached is None
        assert world.edge.held("mysql")
        door.release()
        assert waiting.result() == "local"
        assert not world.edge.held("mysql")

    def test_connections_that_are_there_go_on(self, world: World) -> None:
        local_runs(world)
        client = world.client()
        assert client.result() == "local"
        world.door().hold()
        assert client.alive()
        assert world.door().connections() == 1

    def test_the_follower_ends_one_whose_owner_is_gone(self, world: World) -> None:
        local_runs(world)
        world.door().hold()
        waiting = world.client()
        world.follow()
        assert waiting.result() == "local"

    def test_the_follower_leaves_one_alone_whose_owner_lives(self, world: World) -> None:
        local_runs(world)
        world.door().hold()
        FlipMarker.mine("cutover", "local", "cluster", time.time() - 1).write(world.paths.flip("mysql"))
        world.follow()
        assert world.edge.held("mysql")

    def test_the_follower_ends_it_once_a_dead_owner_s_time_is_over(self, world: World) -> None:
        local_runs(world)
        world.door().hold()
        dead = subprocess.Popen(["true"])
        dead.wait()
        FlipMarker("cutover", "local", "cluster", dead.pid, "1 boot", time.time() + 60).write(world.paths.flip("mysql"))
        follower = world.follow()
        assert world.edge.held("mysql")
        follower.clock = lambda: time.time() + 61
        follower.reconcile()
        assert not world.edge.held("mysql")


class TestPointer:
    def test_it_is_read_at_the_start(self, world: World) -> None:
        cluster_runs(world)
        world.door().decide("cluster")
        world.kill()
        world.start()
        eventually(lambda: up(world, "mysql_cluster", "db1"))
        assert world.client().result() == "db1"

    def test_moving_it_sends_new_connections_to_the_other_end(self, world: World) -> None:
        local_runs(world)
        cluster_runs(world)
        door = world.door()
        stays = world.client()
        assert stays.result() == "local"
        door.decide("cluster")
        door.point("cluster")
        assert world.client().result() == "db1"
        assert stays.alive()
        door.drop()
        assert not stays.alive()

    def test_the_primary_is_taken_without_waiting_for_a_check(self, world: World) -> None:
        cluster_runs(world, "db2")
        # From here on HAProxy hears nothing new, so only the door can have told it.
        world.edge.set_health("mysql_cluster", "db2", "down")
        world.edge.tell("disable health mysql_cluster/db2")
        world.door().decide("cluster")
        world.door().point("cluster")
        assert world.client().result() == "db2"

    def test_a_reload_keeps_pointer_addresses_and_connections(self, world: World) -> None:
        local_runs(world)
        stays = world.client()
        assert stays.result() == "local"
        world.reload()
        assert stays.alive()
        assert world.client().result() == "local"

    def test_an_end_without_a_usable_server_is_an_error(self, world: World) -> None:
        door = world.door()
        door._point_seconds = 0.2
        with pytest.raises(EdgeError, match="no usable server of the cluster end"):
            door.point("cluster")


class TestWaiting:
    def test_a_connection_waits_while_there_is_no_container(self, world: World) -> None:
        world.follow()
        waiting = world.client()
        time.sleep(A_MOMENT)
        assert waiting.reached is None
        local_runs(world)
        assert waiting.result() == "local"

    def test_a_connection_waits_while_there_is_no_primary(self, world: World) -> None:
        cluster_runs(world)
        world.door().decide("cluster")
        world.door().point("cluster")
        on_the_old = world.client()
        assert on_the_old.result() == "db1"
        world.health["db1"].primary = False
        eventually(lambda: not up(world, "mysql_cluster", "db1"))
        world.follow()
        assert not on_the_old.alive()
        waiting = world.client()
        time.sleep(A_MOMENT)
        assert waiting.reached is None
        world.health["db2"].primary = True
        assert waiting.result() == "db2"

    def test_a_connection_to_a_member_without_power_goes_elsewhere(self, world: World) -> None:
        world.silent("db1", DB1)
        world.serve("db2", DB2)
        world.health["db1"].primary = True
        eventually(lambda: up(world, "mysql_cluster", "db1"))
        world.door().decide("cluster")
        world.door().point("cluster")
        connecting = world.client()
        eventually(lambda: world.edge.busy("mysql_cluster")["mysql_cluster", "db1"])
        world.health["db1"].primary = False
        eventually(lambda: not up(world, "mysql_cluster", "db1"))
        world.follow()
        world.health["db2"].primary = True
        assert connecting.result() == "db2"

    def test_patience_ends(self, world: World) -> None:
        world.configure(patience=1)
        world.reload()
        assert world.client().result() in ("cut off", "failed: [Errno 104] Connection reset by peer")

    def test_a_member_of_old_is_not_up_after_a_stop(self, world: World) -> None:
        cluster_runs(world)
        world.follow()
        world.kill()
        world.health["db1"].primary = False
        world.door().decide("cluster")
        world.start()
        waiting = world.client()
        time.sleep(A_MOMENT)
        assert waiting.reached is None
        world.health["db2"].primary = True
        assert waiting.result() == "db2"


class TestFollower:
    def test_it_moves_with_the_container(self, world: World) -> None:
        local_runs(world)
        on_the_old = world.client()
        assert on_the_old.result() == "local"
        world.serve("anew", OTHER_CONTAINER)
        world.docker.found = OTHER_CONTAINER
        world.follow()
        assert world.client().result() == "anew"
        assert not on_the_old.alive()
        assert world.client(port=world.source_port, source=DB1).result() == "anew"

    def test_what_it_knew_survives_a_restart_of_haproxy(self, world: World) -> None:
        local_runs(world)
        world.kill()
        world.start()
        assert world.client().result() == "local"

    def test_a_fenced_end_takes_no_connections_until_it_is_open(self, world: World) -> None:
        local_runs(world)
        world.follow({"mysql": lambda address, port: True})
        waiting = world.client()
        time.sleep(A_MOMENT)
        assert waiting.reached is None
        # The cluster goes on seeding from it.
        assert world.client(port=world.source_port, source=DB1).result() == "local"
        world.follow({"mysql": lambda address, port: False})
        assert waiting.result() == "local"

    def test_a_probe_that_cannot_tell_changes_nothing(self, world: World) -> None:
        local_runs(world)
        world.follow({"mysql": lambda address, port: None})
        assert world.client().result() == "local"

    def test_the_local_end_is_closed_while_the_cluster_serves(self, world: World) -> None:
        local_runs(world)
        world.door().decide("cluster")
        world.follow()
        assert [one.maintenance for one in world.edge.servers("mysql_local") if one.name == "local"] == [True]

    def test_it_changes_nothing_during_a_flip(self, world: World) -> None:
        local_runs(world)
        FlipMarker.mine("cutover", "local", "cluster", time.time() + 5).write(world.paths.flip("mysql"))
        world.follow({"mysql": lambda address, port: True})
        assert world.client().result() == "local"

    def test_only_clients_of_the_project_s_networks_are_let_in(self, world: World) -> None:
        local_runs(world)
        stranger = machine_address()
        assert world.client(source=stranger).result() != "local"
        world.docker.networks = [f"{stranger}/32"]
        world.follow()
        assert world.client(source=stranger).result() == "local"
        world.docker.networks = []
        world.follow()
        assert world.client(source=stranger).result() != "local"
        assert world.paths.clients.read_text(encoding="utf-8").split() == sorted(
            world.edge.entries(world.paths.clients)
        )

    def test_only_members_reach_the_source(self, world: World) -> None:
        local_runs(world)
        assert world.client(port=world.source_port, source=DB2).result() == "local"
        assert world.client(port=world.source_port, source=CONTAINER).result() != "local"


class TestService:
    def service(self, world: World) -> tuple[EdgeService, list[str]]:
        called: list[str] = []
        settled = "Id={}\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\n"

        def systemctl(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
            called.append(" ".join(command[1:]))
            if command[1] == "reload":
                world.signal("USR2")
            told = f"@{int(time.time()) + 5}" if command[1] == "show" else ""
            if command[2].startswith("--property=Id"):
                told = "\n".join(map(settled.format, command[3:]))
            return subprocess.CompletedProcess(command, 0, told, "")

        return EdgeService(world.paths, runtime=world.paths.etc, run=systemctl), called

    def test_a_changed_configuration_is_taken_over_once(self, world: World) -> None:
        service, called = self.service(world)
        later = time.time() + 2
        os.utime(world.paths.configuration, (later, later))
        assert service.apply() == ["reloaded tutorops-edge.service"]
        os.utime(world.paths.configuration, (1, 1))
        assert service.apply() == []
        assert [line for line in called if "reload" in line] == ["reload tutorops-edge.service"]

    def test_check_waits_for_a_served_store(self, world: World) -> None:
        service, _ = self.service(world)
        with pytest.raises(
            Exception, match="the local end of store mysql, which serves, takes no connections: no container"
        ):
            service.check(0.1)
        local_runs(world)
        service.check(0.1)

    def test_check_sees_an_edge_that_does_not_follow_its_pointer(self, world: World) -> None:
        local_runs(world)
        service, _ = self.service(world)
        world.door().decide("cluster")
        with pytest.raises(Exception, match="does not send store mysql to its cluster end"):
            service.check(0.1)


def machine_address() -> str:
    """An address of this machine that is no loopback."""
    shown = subprocess.run(
        ["hostname", "--all-ip-addresses"], capture_output=True, text=True, check=True
    ).stdout.split()
    return next(word for word in shown if "." in word)
