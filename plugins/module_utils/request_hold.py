# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request hold: learners' requests wait, and none is refused.

For stores whose clients keep connections in pools, or reach their servers past the edge. Caddy is given a detour for
the time of the hold: requests to web containers go by the edge, which accepts no connection until the hold is over.
What is under way ends where it is, calls among containers pass, and afterwards Caddy gets back what it had.

Caddy's own way, to refuse its connections and have it try again, would lose requests: up to 2.11.1 it cannot send the
body of a request a second time (https://github.com/caddyserver/caddy/issues/7546).
"""

from __future__ import annotations

import contextlib
import copy
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from .caddy import Caddy, CaddyError
from .docker import Docker, DockerError, network
from .edge import Edge, EdgeError, EdgeSettings
from .netns import NetworkError
from .paths import PATHS, Paths, read_json, remove_file, write_file
from .store_lock import locked
from .stores.base import StoreError

PROXY = "caddy"
_CADDY_SECONDS = 3.0
#: How long after its end a hold counts as one that nobody ends.
_LATE = 1.0


class Requests(Protocol):
    """What a store's door and its driver know of a request hold."""

    def hold(self, seconds: float) -> None:
        """Let new requests wait, for so long at most."""

    def drained(self) -> bool:
        """Whether requests are held here, and none is under way any more."""

    def release(self) -> None:
        """End the hold; harmless without one."""

    def held(self) -> bool:
        """Whether requests are held, by whomever."""


class NoRequestHold:
    """For stores that do without."""

    def hold(self, seconds: float) -> None:
        """Hold nothing."""

    def drained(self) -> bool:
        """There is nothing to wait for."""
        return True

    def release(self) -> None:
        """Release nothing."""

    def held(self) -> bool:
        """Nothing is held."""
        return False


class RequestHold:
    """Holds the requests of one platform. One hold at a time, whatever store it is for."""

    def __init__(
        self,
        settings: EdgeSettings,
        paths: Paths = PATHS,
        edge: Edge | None = None,
        docker: Docker | None = None,
        caddy: Callable[[int], Caddy] = lambda pid: Caddy(pid, timeout=_CADDY_SECONDS),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._edge = edge or Edge(paths.socket)
        self._docker = docker or Docker()
        self._caddy = caddy
        self._clock = clock
        # A flip and its guard call from two threads, and so does the timer.
        self._turn = threading.RLock()
        self._mine: contextlib.ExitStack | None = None
        self._proxy: Caddy | None = None
        self._targets: dict[str, tuple[str, int]] = {}
        self._timer = threading.Timer(0, self.release)

    def hold(self, seconds: float) -> None:
        """Let new requests wait, for so long at most. A second call sets the time anew."""
        with self._turn, _told("requests cannot be held"):
            if self._mine is None:
                with contextlib.ExitStack() as mine:
                    mine.enter_context(locked(self._paths.requests_lock, "a hold of requests", 2.0))
                    mine.callback(self._give_back)
                    mine.callback(self._pass)
                    self._begin(self._clock() + seconds)
                    self._mine = mine.pop_all()
            self._timer.cancel()
            self._timer = threading.Timer(seconds, self._expire)
            self._timer.daemon = True
            self._timer.start()

    def drained(self) -> bool:
        """Whether requests are held here, and none is under way any more; one that waits is none."""
        proxy, targets = self._proxy, self._targets
        if proxy is None:
            return False
        with _told("requests under way cannot be counted"):
            under_way = proxy.requests()
        return not any(under_way.get(dial) for dial in targets)

    def release(self) -> None:
        """End the hold, or what a dead one has left; harmless without one."""
        with self._turn:
            if self._mine is None:
                self.tidy()
                return
            self._timer.cancel()
            mine, self._mine = self._mine, None
            mine.close()

    def held(self) -> bool:
        """Whether requests are held, by whomever."""
        return self._paths.requests.exists()

    def tidy(self) -> None:
        """End a hold whose owner has died or does not end it in time; harmless while it goes on."""
        left = self._left()
        if left is None:
            return
        with contextlib.suppress(StoreError), self._turn:
            if self._clock() > float(left.get("ends", 0)) + _LATE:
                self._pass()
            with locked(self._paths.requests_lock, "tidying up a hold of requests", 0.0):
                self._pass()
                self._give_back()

    # Parts

    def _begin(self, ends: float) -> None:
        proxy = self._caddy(self._find())
        found = proxy.config()
        left = self._left()
        if left is not None and found == left.get("held"):
            found = left["found"]
        self._targets = self._where(proxy)
        detours = {}
        for slot, (dial, (address, port)) in enumerate(self._targets.items()):
            self._edge.set_address(self._settings.slot(slot), "web", address, port)
            self._edge.limit(self._settings.slot(slot), 0)
            detours[dial] = f"{self._settings.address}:{self._settings.requests_port + slot}"
        held = detour(found, detours)
        write_file(self._paths.requests, json.dumps({"found": found, "held": held, "ends": ends}) + "\n")
        proxy.load(held)
        self._proxy = proxy

    def _where(self, proxy: Caddy) -> dict[str, tuple[str, int]]:
        """The web containers that Caddy sends requests to: what it calls each, and its address and port."""
        project = self._settings.compose_project
        running = [one for one in self._docker.containers(project) if one.running]
        addresses = {one.service: one.address(network(project)) for one in reversed(running)}
        found = {f"{one.name}:{one.port}": (address, one.port)
                 for one in proxy.upstreams()
                 if (address := addresses.get(one.name))}  # fmt: skip
        slots = self._settings.requests_slots
        if not found or len(found) > slots:
            raise StoreError(
                f"{PROXY} sends requests to {len(found)} containers of project {project}, and the edge can hold those "
                f"to 1 to {slots}"
            )
        return found

    def _pass(self) -> None:
        """Let what waits through."""
        for slot in range(self._settings.requests_slots):
            self._edge.limit(self._settings.slot(slot), self._settings.requests_maxconn)

    def _expire(self) -> None:
        # The follower finds what this cannot end.
        with contextlib.suppress(Exception):
            self.release()

    def _give_back(self) -> None:
        """Give Caddy the configuration that it had, unless it has got yet another one; at the latest tidy() does it."""
        with contextlib.suppress(StoreError), _told("Caddy keeps its detour for now"):
            left = self._left()
            pid = self._running()
            if left is not None and pid and "found" in left:
                proxy = self._caddy(pid)
                if proxy.config() == left["held"]:
                    proxy.load(left["found"])
            remove_file(self._paths.requests)
        self._proxy = None

    def _left(self) -> dict[str, Any] | None:
        try:
            return read_json(self._paths.requests)
        except ValueError:
            return {}

    def _running(self) -> int:
        found = self._docker.container(self._settings.compose_project, PROXY)
        return found.pid if found is not None and found.running else 0

    def _find(self) -> int:
        pid = self._running()
        if not pid:
            raise StoreError(f"no container of service {PROXY} runs: start it with `tutor local start -d {PROXY}`")
        return pid


def detour(config: Mapping[str, Any], ways: Mapping[str, str]) -> dict[str, Any]:
    """A configuration that sends requests another way: ``ways`` tells for what Caddy calls an upstream which one.

    The upstream itself stays in second place, so that Caddy goes on counting what is under way to it.
    """
    changed = copy.deepcopy(dict(config))
    for handler in _proxies(changed):
        upstreams = handler.get("upstreams") or []
        way = next((ways[one["dial"]] for one in upstreams if one.get("dial") in ways), None)
        if way is not None and "tls" not in (handler.get("transport") or {}):
            handler["upstreams"] = [{"dial": way}, *upstreams]
            handler["load_balancing"] = {"selection_policy": {"policy": "first"}}
            # A check of the detour would find that it does not answer.
            handler.pop("health_checks", None)
    return changed


def _proxies(part: Any) -> Iterator[dict[str, Any]]:
    """Every handler that sends requests on, wherever it is."""
    if isinstance(part, dict):
        if part.get("handler") == "reverse_proxy":
            yield part
        for inner in part.values():
            yield from _proxies(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _proxies(inner)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what docker or Caddy says into the operator's sentence."""
    try:
        yield
    except (CaddyError, DockerError, NetworkError, EdgeError, ValueError) as problem:
        raise StoreError(f"{what}: {problem}") from problem
