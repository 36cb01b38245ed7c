# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request hold, with a Caddy and an edge that fail and die at any step; tests/engine/edge has real ones."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.caddy import CaddyError, Upstream, upstreams
from ansible_collections.tutorops.scale.plugins.module_utils.docker import Container
from ansible_collections.tutorops.scale.plugins.module_utils.edge import EdgeError, EdgeSettings
from ansible_collections.tutorops.scale.plugins.module_utils.paths import Paths
from ansible_collections.tutorops.scale.plugins.module_utils.request_hold import RequestHold, detour
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError

SETTINGS = EdgeSettings.from_dict(
    {
        "address": "10.0.0.10",
        "compose_project": "tutor_local",
        "requests": {"port": 16800, "slots": 2, "maxconn": 500},
        "stores": {},
    }
)


def proxy(*dials: str, **more: Any) -> dict[str, Any]:
    return {"handler": "reverse_proxy", "upstreams": [{"dial": dial} for dial in dials], **more}


def config(*handlers: dict[str, Any]) -> dict[str, Any]:
    """As Caddy's adapter writes it, subroutes and all."""
    routes = [{"handle": [{"handler": "subroute", "routes": [{"handle": [one]}]}]} for one in handlers]
    return {"apps": {"http": {"servers": {"srv0": {"listen": [":80"], "routes": routes}}}}}


FOUND = config(proxy("lms:8000"), proxy("cms:8000"), proxy("other.example.org:443", transport={"tls": {}}))


@dataclass
class World:
    """Caddy, the edge, docker and the clock; anything of it can be made to fail."""

    folder: Path
    config: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(FOUND))
    under_way: dict[str, int] = field(default_factory=dict)
    addresses: dict[str, tuple[str, int]] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=lambda: {"requests_1": 500, "requests_2": 500})
    services: dict[str, str] = field(
        default_factory=lambda: {"lms": "172.18.0.2", "cms": "172.18.0.3", "caddy": "172.18.0.4", "redis": "172.18.0.5"}
    )
    fails: set[str] = field(default_factory=set)
    calls: int = 0
    dies_at: int = 0
    now: float = 1000.0

    def called(self, name: str) -> None:
        self.calls += 1
        if self.calls == self.dies_at:
            raise Died
        if name in self.fails:
            raise EdgeError("the edge does not answer") if name.startswith("edge") else CaddyError("Caddy is gone")

    # edge

    def set_address(self, backend: str, server: str, address: str, port: int) -> None:
        self.called("edge.set_address")
        assert server == "web"
        self.addresses[backend] = (address, port)

    def limit(self, frontend: str, connections: int) -> None:
        self.called("edge.limit")
        self.limits[frontend] = connections

    # docker

    def containers(self, project: str, service: str | None = None) -> list[Container]:
        assert project == "tutor_local"
        return [
            Container(name, f"tutor_local-{name}-1", name, True, {"tutor_local_default": address}, 42)
            for name, address in sorted(self.services.items())
        ]

    def container(self, project: str, service: str) -> Container | None:
        return next((one for one in self.containers(project) if one.service == service), None)

    # Caddy

    def __call__(self, pid: int) -> World:
        assert pid == 42
        return self

    def load(self, config: dict[str, Any]) -> None:
        self.called("caddy.load")
        self.config = json.loads(json.dumps(config))
        self.called("caddy.loaded")

    def read(self) -> dict[str, Any]:
        self.called("caddy.config")
        return copy.deepcopy(self.config)

    def upstreams(self) -> list[Upstream]:
        self.called("caddy.upstreams")
        return upstreams(self.config)

    def requests(self) -> dict[str, int]:
        self.called("caddy.requests")
        return self.under_way

    # what is seen of it

    def held(self) -> bool:
        """Whether a new request would wait."""
        way = self.config["apps"]["http"]["servers"]["srv0"]["routes"][0]["handle"][0]["routes"][0]["handle"][0]
        address, _, port = way["upstreams"][0]["dial"].rpartition(":")
        return address == "10.0.0.10" and self.limits[f"requests_{int(port) - 16799}"] == 0

    def at_rest(self) -> bool:
        return self.config == FOUND and set(self.limits.values()) == {500}


class Died(BaseException):
    """The process is gone."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def hold_of(world: World) -> RequestHold:
    # A proxy object, because Caddy's method is called config, too.
    made = Proxy(world)
    paths = Paths(world.folder, world.folder, world.folder)
    return RequestHold(SETTINGS, paths, world, world, made, lambda: world.now)  # type: ignore[arg-type]


class Proxy:
    """Caddy, as the hold sees it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.config, self.load = world.read, world.load
        self.upstreams, self.requests = world.upstreams, world.requests

    def __call__(self, pid: int) -> Proxy:
        assert pid == 42
        return self


class TestHold:
    def test_requests_take_the_detour_and_afterwards_their_own_way(self, world: World) -> None:
        hold = hold_of(world)
        hold.hold(60)
        assert world.held() and hold.held()
        hold.release()
        assert world.at_rest() and not hold.held()

    def test_each_web_container_has_a_port_of_its_own(self, world: World) -> None:
        hold = hold_of(world)
        hold.hold(60)
        ways = {}
        for route in world.config["apps"]["http"]["servers"]["srv0"]["routes"]:
            dials = [one["dial"] for one in route["handle"][0]["routes"][0]["handle"][0]["upstreams"]]
            ways[dials[-1]] = dials[0]
        slots = {f"10.0.0.10:{16800 + number}": f"requests_{number + 1}" for number in range(2)}
        assert world.addresses[slots[ways["lms:8000"]]] == ("172.18.0.2", 8000)
        assert world.addresses[slots[ways["cms:8000"]]] == ("172.18.0.3", 8000)
        assert ways["other.example.org:443"] == "other.example.org:443"
        hold.release()

    def test_what_is_under_way_is_counted_and_what_waits_is_not(self, world: World) -> None:
        hold = hold_of(world)
        assert not hold.drained()
        hold.hold(60)
        world.under_way = {"lms:8000": 2, "cms:8000": 0, "10.0.0.10:16800": 70}
        assert not hold.drained()
        world.under_way = {"lms:8000": 0, "10.0.0.10:16800": 70}
        assert hold.drained()
        hold.release()
        assert not hold.drained()

    def test_it_ends_by_itself(self, world: World) -> None:
        hold = hold_of(world)
        ended = threading.Event()
        give_back = hold._give_back
        hold._give_back = lambda: give_back() or ended.set()  # type: ignore[func-returns-value, method-assign]
        hold.hold(0.01)
        assert ended.wait(20)
        assert world.at_rest()

    def test_a_second_call_sets_the_time_anew(self, world: World) -> None:
        hold = hold_of(world)
        hold.hold(60)
        calls = world.calls
        hold.hold(60)
        assert world.held() and world.calls == calls
        hold.release()
        assert world.at_rest()

    def test_one_at_a_time(self, world: World) -> None:
        first, second = hold_of(world), hold_of(world)
        first.hold(60)
        with pytest.raises(StoreError, match="'a hold of requests' .* runs on the app server"):
            second.hold(60)
        second.release()
        assert world.held()
        first.release()
        second.hold(60)
        second.release()
        assert world.at_rest()

    def test_a_release_without_a_hold_does_nothing(self, world: World) -> None:
        hold_of(world).release()
        assert world.calls == 0

    @pytest.mark.parametrize("missing", ["caddy", "lms and cms"])
    def test_a_platform_that_cannot_be_held(self, world: World, missing: str) -> None:
        for name in missing.split(" and "):
            del world.services[name]
        with pytest.raises(StoreError, match="start it with|sends requests to 0 containers"):
            hold_of(world).hold(60)
        assert world.at_rest() and not hold_of(world).held()

    def test_more_web_containers_than_ports(self, world: World) -> None:
        world.services["notes"] = "172.18.0.9"
        world.config = config(proxy("lms:8000"), proxy("cms:8000"), proxy("notes:8000"))
        with pytest.raises(StoreError, match="to 3 containers of project tutor_local.* to 1 to 2"):
            hold_of(world).hold(60)

    @pytest.mark.parametrize(
        "failing", ["edge.set_address", "edge.limit", "caddy.load", "caddy.config", "caddy.loaded"]
    )
    def test_what_fails_is_undone(self, world: World, failing: str) -> None:
        world.fails = {failing}
        with pytest.raises(StoreError, match="does not answer|is gone"):
            hold_of(world).hold(60)
        world.fails = set()
        hold_of(world).tidy()
        assert world.at_rest() and not hold_of(world).held()

    def test_a_caddy_that_does_not_answer_at_the_end_keeps_nobody_waiting(self, world: World) -> None:
        hold = hold_of(world)
        hold.hold(60)
        world.fails = {"caddy.config"}
        hold.release()
        assert set(world.limits.values()) == {500}
        world.fails = set()
        hold.tidy()
        assert world.at_rest() and not hold.held()


class TestDead:
    def die(self, world: World, at: int) -> bool:
        """Hold and release in a process that dies at one of its steps; whether it got so far."""
        world.dies_at = at
        hold = hold_of(world)
        try:
            hold.hold(60)
            hold.release()
        except Died:
            hold._timer.cancel()
            return True
        return False

    def test_wherever_the_owner_dies_the_next_one_or_the_follower_mends_it(self, tmp_path: Path) -> None:
        after: list[Callable[[World], None]] = [
            lambda world: hold_of(world).tidy(),
            lambda world: hold_of(world).release(),
            self.hold_again,
        ]
        for mend in after:
            at = 1
            while True:
                folder = tmp_path / f"{at}-{after.index(mend)}"
                folder.mkdir()
                world = World(folder)
                died = self.die(world, at)
                world.dies_at = 0
                mend(world)
                assert world.config == FOUND, f"died at call {at}"
                assert not world.held()
                if not died:
                    break
                at += 1
            assert at > 8

    def hold_again(self, world: World) -> None:
        hold = hold_of(world)
        hold.hold(60)
        assert world.held()
        hold.release()

    def test_one_that_does_not_end_in_time_is_ended(self, world: World) -> None:
        frozen = hold_of(world)
        frozen.hold(60)
        follower = hold_of(world)
        follower.tidy()
        assert world.held()
        world.now += 62
        follower.tidy()
        # Its owner lives, and gives Caddy its own back when it thaws.
        assert not world.held() and world.config != FOUND
        frozen.release()
        assert world.at_rest()

    def test_a_caddy_that_has_yet_another_configuration_keeps_it(self, world: World) -> None:
        self.die(world, 9)
        world.dies_at = 0
        world.config = mine = config(proxy("lms:8000", "lms:8001"))
        hold_of(world).tidy()
        assert world.config == mine and not hold_of(world).held()

    def test_a_caddy_that_is_gone_is_given_nothing(self, world: World) -> None:
        hold = hold_of(world)
        hold.hold(60)
        del world.services["caddy"]
        hold.release()
        assert not hold.held()

    def test_a_note_that_cannot_be_read_is_thrown_away(self, world: World) -> None:
        (world.folder / "requests.json").write_text("{", encoding="utf-8")
        hold = hold_of(world)
        hold.tidy()
        assert not hold.held() and world.at_rest()


class TestDetour:
    def test_only_the_ways_given_change(self) -> None:
        found = config(proxy("lms:8000"), proxy("mfe:8002"))
        changed = detour(found, {"lms:8000": "10.0.0.10:16800"})
        assert json.dumps(changed).count("10.0.0.10") == 1
        assert found == config(proxy("lms:8000"), proxy("mfe:8002"))

    def test_the_detour_comes_first_whatever_the_policy_and_the_checks(self) -> None:
        policy = {"selection_policy": {"policy": "random"}, "try_duration": "5s"}
        found = config(proxy("lms:8000", "lms2:8000", load_balancing=policy, health_checks={"active": {"path": "/"}}))
        (route,) = detour(found, {"lms:8000": "10.0.0.10:16800"})["apps"]["http"]["servers"]["srv0"]["routes"]
        handler = route["handle"][0]["routes"][0]["handle"][0]
        assert [one["dial"] for one in handler["upstreams"]] == ["10.0.0.10:16800", "lms:8000", "lms2:8000"]
        assert handler["load_balancing"] == {"selection_policy": {"policy": "first"}}
        assert "health_checks" not in handler

    def test_an_upstream_that_is_verified_by_its_name_keeps_its_way(self) -> None:
        found = config(proxy("lms:8000", transport={"protocol": "http", "tls": {}}))
        assert detour(found, {"lms:8000": "10.0.0.10:16800"}) == found
