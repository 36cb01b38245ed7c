# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rolling restart: each service gets a second container, which takes over before the first one goes.

A web service is looked up by name, by Caddy and by other services, and the name has the addresses of all its
containers. So the way is led by gates (netns.py): the new container refuses connections until it answers, the old one
refuses them from then on, and clients go to the other address of the name at once. Connections that exist are never
cut: Caddy is made to let go of those it keeps, requests under way end where they began, and only then the old container
is stopped. A worker consumes before its predecessor is asked to finish its tasks and end.

A roll that died is finished by the next one: gates open by themselves, and what remains is two containers, or one that
has ended. Nothing in Caddy's configuration is changed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from .caddy import Caddy, CaddyError, Upstream
from .netns import Doorkeeper, Gate, NetworkError, Response, Socket, in_flight, listening, request, sockets
from .paths import PATHS, Paths
from .roll_state import Instance, Memory, Rendered, below, parse_instances, rendered
from .tutor_errors import TutorError

#: Stores and helpers: they have one container, and no settings that an offload changes.
NEVER = frozenset(
    {"caddy", "elasticsearch", "meilisearch", "minio", "mongodb", "mysql", "permissions", "redis", "smtp"}
)
#: Where a service tells how it is; anything else is asked for its start page.
HEALTH_PATHS: Mapping[str, str] = {"lms": "/heartbeat", "cms": "/heartbeat", "notes": "/heartbeat/"}

_READY = re.compile(r"\S+ ready\.\s*$", re.MULTILINE)
_ENDING = re.compile(r"shutdown \(MainProcess\)")
_GATE_SECONDS = 15
_ANSWERS = 3
_BACKGROUND_SHARES, _USUAL_SHARES = 128, 1024


class RollError(TutorError):
    """A service could not be rolled; the one that served still does. One sentence for the operator."""


class _Result(Protocol):
    @property
    def stdout(self) -> str: ...

    @property
    def stderr(self) -> str: ...


class Platform(Protocol):
    """What a roll needs of tutor.Tutor."""

    root: Path

    @property
    def project_name(self) -> str:
        """Name of the compose project."""

    def dc(self, *args: str, check: bool = True) -> _Result:
        """Run `docker compose ARGS` on the platform."""

    def docker(self, *args: str, check: bool = True) -> _Result:
        """Run `docker ARGS`."""

    def service_hashes(self) -> dict[str, str]:
        """Compose's hash of each service's definition."""


# The roll


@dataclass(frozen=True)
class Limits:
    """How long each wait may take, in seconds."""

    ready: float = 300.0
    drain: float = 900.0
    tasks: float = 3600.0
    keepalive: float = 1.0
    """How long connections to a container that is to go may end by themselves before Caddy drops those it keeps."""
    settle: float = 60.0
    """After how long a worker that says nothing counts as consuming."""


@dataclass
class Report:
    """What a roll did."""

    rolled: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    cut: int = 0
    """Connections that were still there when the time to drain was over."""


@dataclass
class Tools:
    """How a roll reaches the world; tests give it another one."""

    gate: Gate = field(default_factory=Gate)
    doorkeeper: Callable[[Gate], Doorkeeper] = Doorkeeper
    sockets: Callable[[int], list[Socket]] = sockets
    alive: Callable[[int], bool] = lambda pid: os.path.exists(f"/proc/{pid}")
    request: Callable[..., Response] = request
    caddy: Callable[[int], Caddy] = Caddy
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    say: Callable[[str], None] = lambda _text: None
    paths: Paths = PATHS


def roll(
    tutor: Platform,
    services: Sequence[str] = (),
    timeout: float | None = None,
    force: bool = False,
    limits: Limits | None = None,
    tools: Tools | None = None,
) -> Report:
    """Roll those of the named services, or of all that can be rolled, that run with other settings than those rendered.

    With ``force`` each of them is rolled. ``timeout`` is how long a new container may take until it answers.
    """
    bounds = limits or Limits()
    if timeout is not None:
        bounds = replace(bounds, ready=timeout)
    with _told():
        return _Roll(tutor, bounds, tools or Tools()).run(services, force)


def stale(tutor: Platform, services: Sequence[str] = (), tools: Tools | None = None) -> list[str]:
    """Name the services that a roll would roll. Reads only, apart from noting since when files are as they are."""
    with _told():
        return _Roll(tutor, Limits(), tools or Tools()).stale(services)


@contextlib.contextmanager
def as_read(tutor: Platform, tools: Tools | None = None) -> Iterator[None]:
    """Render inside it what means the same to every process in other words: nobody has to be rolled because of that.

    A service that has to be rolled already still has to be.
    """
    rolling = _Roll(tutor, Limits(), tools or Tools())
    with _told():
        rolling.stale(())
    yield
    with _told():
        rolling.take_as_read()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn what the network or Caddy says into the operator's sentence."""
    try:
        yield
    except (NetworkError, CaddyError) as problem:
        raise RollError(f"The platform cannot be rolled: {problem}.") from problem


class _Roll:
    def __init__(self, tutor: Platform, limits: Limits, tools: Tools) -> None:
        self._tutor = tutor
        self._limits = limits
        self._tools = tools
        self._memory = Memory(tools.paths.var / "tutor" / "roll.json")
        self._report = Report()
        self._since: dict[str, float] = {}
        self._hashes: dict[str, str] = {}
        self._forced: set[str] = set()
        self._upstreams: dict[str, Upstream] = {}

    def run(self, services: Sequence[str], force: bool) -> Report:
        self._tools.gate.check()
        with self._alone():
            wanted = self.candidates(services)
            self._look(wanted)
            if force:
                self._forced = {one.id for instances in wanted.values() for one in instances}
            due = [name for name, instances in wanted.items() if self._due(name, instances)]
            self._report.kept = sorted(set(wanted) - set(due))
            self._memory.save()
            if due:
                self._upstreams = self._sites()
            for service in sorted(due, key=self._order):
                begun = self._tools.clock()
                self._service(service)
                self._report.rolled.append(service)
                self._report.seconds[service] = round(self._tools.clock() - begun, 3)
        return self._report

    def stale(self, services: Sequence[str]) -> list[str]:
        wanted = self.candidates(services)
        self._look(wanted)
        with contextlib.suppress(OSError):  # a reader without the right to write learns the same
            self._memory.save()
        return sorted(name for name, instances in wanted.items() if self._due(name, instances))

    def take_as_read(self) -> None:
        for service, instances in self.candidates(()).items():
            self._memory.take_as_read(service, self._rendered(instances))
        self._memory.save()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        folder = self._tools.paths.run
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "roll.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as problem:
                raise RollError(
                    "Another rolling restart is under way on this host: wait for it to end, then run this again."
                ) from problem
            yield
        finally:
            os.close(handle)

    # What there is

    def _instances(self, service: str | None = None) -> list[Instance]:
        filters = [
            f"label=com.docker.compose.project={self._tutor.project_name}",
            "label=com.docker.compose.oneoff=False",
        ]
        if service:
            filters.append(f"label=com.docker.compose.service={service}")
        wanted = [part for each in filters for part in ("--filter", each)]
        ids = self._tutor.docker("ps", "--all", "--quiet", "--no-trunc", *wanted).stdout.split()
        if not ids:
            return []
        return parse_instances(self._tutor.docker("inspect", "--type=container", *ids, check=False).stdout)

    def _running(self, service: str) -> list[Instance]:
        return [one for one in self._instances(service) if one.running]

    def candidates(self, services: Sequence[str]) -> dict[str, list[Instance]]:
        """The services that can be rolled, with their running containers."""
        running: dict[str, list[Instance]] = {}
        for one in self._instances():
            if one.running:
                running.setdefault(one.service, []).append(one)
        env = self._tutor.root / "env"
        able = {
            name
            for name, instances in running.items()
            if name not in NEVER and any(below(path, env) for path in instances[0].sources)
        }
        for service in services:
            if service in NEVER:
                raise RollError(
                    f"{service} cannot be rolled, because it can run only once: use state restarted for it."
                )
            if service not in running:
                raise RollError(
                    f"{service} does not run at {self._tutor.root}: start the platform with `tutor local start -d` "
                    "first."
                )
        names = set(services) or able
        return {name: running[name] for name in sorted(names)}

    def _look(self, wanted: Mapping[str, list[Instance]]) -> None:
        self._hashes = self._tutor.service_hashes()
        for service, instances in wanted.items():
            self._since[service] = self._memory.since(service, self._rendered(instances))

    def _rendered(self, instances: Iterable[Instance]) -> Rendered:
        return rendered((path for one in instances for path in one.sources), self._tutor.root / "env")

    def _outdated(self, one: Instance) -> bool:
        return (
            one.id in self._forced
            or one.started < self._since[one.service]
            or one.config_hash != self._hashes.get(one.service, one.config_hash)
        )

    def _due(self, service: str, instances: Iterable[Instance]) -> bool:
        return self._memory.replicas(service) is not None or any(self._outdated(one) for one in instances)

    def _order(self, service: str) -> tuple[int, str]:
        """LMS first, then what else Caddy sends requests to, then what is behind, then workers."""
        if service == "lms":
            return (0, service)
        if service in self._upstreams:
            return (1, service)
        return (3 if any(one.celery for one in self._running(service)) else 2, service)

    def _caddy(self) -> Instance | None:
        found = self._running("caddy")
        return found[0] if found else None

    def _sites(self) -> dict[str, Upstream]:
        proxy = self._caddy()
        if proxy is None:
            return {}
        return {one.name: one for one in self._tools.caddy(proxy.pid).upstreams()}

    # One service

    def _service(self, service: str) -> None:
        running = self._running(service)
        if not running:
            raise RollError(f"{service} ended before it was rolled: start it with `tutor local start -d` first.")
        replicas = self._memory.replicas(service) or len(running)
        self._refuse_single(running[0])
        self._memory.begin(service, replicas)
        while True:
            running = self._running(service)
            outdated = [one for one in running if self._outdated(one)]
            if not outdated:
                break
            fresh = [one for one in running if one not in outdated]
            # What a dead roll left behind may never have come up, so the measure is one that serves.
            old = next((one for one in outdated if self._serves(one)), outdated[0])
            web = self._serves(old)
            if len(running) <= replicas or not fresh:
                self._await(self._another(service, running, web), old, web)
            else:
                self._await(fresh[-1], old, web)
            self._retire(old, web)
        for extra in running[replicas:]:
            self._retire(extra, self._serves(extra))
        self._tidy(service, replicas)
        self._memory.end(service)

    def _serves(self, one: Instance) -> bool:
        """Whether others can connect to it: a web service, rather than a worker."""
        return bool(listening(self._tools.sockets(one.pid)))

    def _refuse_single(self, one: Instance) -> None:
        if one.published:
            raise RollError(
                f"{one.service} publishes a port of this host, so two of it cannot run side by side: "
                "use state restarted."
            )
        if not re.fullmatch(rf"{re.escape(self._tutor.project_name)}[-_]{re.escape(one.service)}[-_]\d+", one.name):
            raise RollError(
                f"{one.service} has the fixed container name {one.name}, so two of it cannot run side by side: take "
                "`container_name` out of the compose override, or use state restarted."
            )

    def _another(self, service: str, before: Sequence[Instance], web: bool) -> Instance:
        self._tools.say(f"{service}: starting a second container")
        known = {one.id for one in before}
        # Not --no-deps: compose up to 2.26 takes the dependencies into the hash that it compares at the next `start`.
        scale = ["up", "--detach", "--no-recreate"]
        for name, count in sorted({**self._scaled(), service: len(before) + 1}.items()):
            scale += ["--scale", f"{name}={count}"]
        keeper = self._tools.doorkeeper(self._tools.gate) if web else contextlib.nullcontext(None)
        with keeper as watching:
            self._tutor.dc(*scale, service)
            added = [one for one in self._running(service) if one.id not in known]
        if watching is not None:
            watching.release({one.pid for one in added})
        if not added:
            raise RollError(
                f"{service}: its new container ended at once, the old one still serves: "
                f"see `tutor local logs {service}`."
            )
        if web:
            self._tools.gate.close(added[0].pid, _GATE_SECONDS)
        if self._outdated(added[0]):
            self._tutor.docker("rm", "--force", added[0].id, check=False)
            raise RollError(
                f"{service}: compose made its new container from another definition than `tutor local dc config` "
                "tells; did somebody run `tutor config save` meanwhile? Run this again."
            )
        self._priority(added[0], _BACKGROUND_SHARES)
        return added[0]

    def _scaled(self) -> dict[str, int]:
        """The services that an operator scaled, which compose would otherwise set back to one container."""
        counts: dict[str, int] = {}
        for one in self._instances():
            if one.running:
                counts[one.service] = counts.get(one.service, 0) + 1
        return {name: count for name, count in counts.items() if count > 1}

    def _priority(self, one: Instance, shares: int) -> None:
        """Let a starting container, which loads the whole platform, give way to those that serve."""
        self._tutor.docker("update", "--cpu-shares", str(shares), one.id, check=False)

    def _again(self, one: Instance) -> Instance | None:
        """The same container as it is now, if it runs."""
        found = parse_instances(self._tutor.docker("inspect", "--type=container", one.id, check=False).stdout)
        return found[0] if found and found[0].running else None

    # Waiting for the new one

    def _await(self, spare: Instance, old: Instance, web: bool) -> None:
        service = spare.service
        self._tools.say(f"{service}: waiting for the new container")
        reason = "it never ran"
        good = 0
        begun = steady = renewed = self._tools.clock()
        expected = self._expected(old) if web else {}
        look = spare
        while self._tools.clock() - begun < self._limits.ready:
            if not self._tools.alive(look.pid):
                good, reason = 0, "its process ended"
                self._tools.sleep(0.1)  # docker may start it again, without a gate
                again = self._again(spare)
                if again is None:
                    continue
                look, steady, renewed = again, self._tools.clock(), 0.0
            now = self._tools.clock()
            if web and now - renewed > _GATE_SECONDS / 3:
                self._tools.gate.close(look.pid, _GATE_SECONDS)
                renewed = now
            reason = self._web_reason(look, expected) if web else self._worker_reason(look, now - steady)
            good = 0 if reason else good + 1
            if good >= (_ANSWERS if web else 1):
                self._priority(look, _USUAL_SHARES)
                if web:
                    self._tools.gate.open(look.pid)
                return
            self._tools.sleep(0.1 if not reason else 0.5)
        with contextlib.suppress(TutorError):
            self._tutor.docker("rm", "--force", spare.id)
        self._memory.end(service)
        raise RollError(
            f"{service}: its new container was not ready within {self._limits.ready:g} s ({reason}) and was removed; "
            f"the old one still serves. Find out why with `tutor local run {service} ...`, then run this again."
        )

    def _expected(self, old: Instance) -> dict[int, int]:
        """The ports that the new container must open, with what the old one answers there (0: not HTTP)."""
        found = {}
        for port, address in listening(self._tools.sockets(old.pid)).items():
            try:
                found[port] = self._ask(old, port, address).status
            except (NetworkError, OSError):
                found[port] = 0
        return found

    def _ask(self, one: Instance, port: int, address: str) -> Response:
        upstream = self._upstreams.get(one.service)
        site = upstream.sites[0] if upstream is not None and upstream.sites else one.service
        path = HEALTH_PATHS.get(one.service, "/")
        return self._tools.request(one.pid, port, path, site, address, timeout=20.0)

    def _web_reason(self, spare: Instance, expected: Mapping[int, int]) -> str:
        """Why a container does not serve yet; empty when it does."""
        ports = listening(self._tools.sockets(spare.pid))
        for port, status in expected.items():
            if port not in ports:
                return f"port {port} is not open"
            if status == 0:
                continue
            try:
                answer = self._ask(spare, port, ports[port])
            except (NetworkError, OSError) as problem:
                return str(problem)
            if answer.status != 200 and not (answer.status < 500 and (answer.status == status or status >= 500)):
                return f"port {port} answered {answer.status}"
        return ""

    def _worker_reason(self, spare: Instance, steady: float) -> str:
        if not spare.celery:
            return "" if steady >= 5.0 else "it has only just started"
        printed = self._tutor.docker("logs", "--tail", "1000", spare.id, check=False)
        if _READY.search(printed.stdout) or _READY.search(printed.stderr) or steady >= self._limits.settle:
            return ""
        return "it does not consume yet"

    # Letting the old one go

    def _retire(self, old: Instance, web: bool) -> None:
        if web:
            self._drain(old)
        self._tools.say(f"{old.service}: stopping the old container")
        if old.celery:
            self._finish_tasks(old)
        else:
            self._tutor.docker("stop", "--time", "30", old.id)
        self._tutor.docker("rm", "--force", old.id)

    def _drain(self, old: Instance) -> None:
        self._tools.say(f"{old.service}: waiting for requests under way")
        begun = renewed = self._tools.clock()
        self._tools.gate.close(old.pid, _GATE_SECONDS)
        told = False
        quiet = 0
        while quiet < 2:
            busy = in_flight(self._tools.sockets(old.pid))
            now = self._tools.clock()
            quiet = 0 if busy else quiet + 1
            if busy and now - begun >= self._limits.drain:
                self._report.cut += len(busy)
                return
            if busy and not told and now - begun >= self._limits.keepalive:
                told = self._let_go({one.remote for one in busy})
            if now - renewed > _GATE_SECONDS / 3:
                self._tools.gate.close(old.pid, _GATE_SECONDS)
                renewed = now
            self._tools.sleep(0.1)

    def _let_go(self, remotes: set[str]) -> bool:
        """Have Caddy drop the connections that it keeps, if any of these is its own."""
        proxy = self._caddy()
        if proxy is None or not remotes.intersection(proxy.addresses):
            return False
        try:
            self._tools.caddy(proxy.pid).forget_connections()
        except CaddyError as problem:
            raise RollError(f"The old container cannot be drained: {problem}") from problem
        return True

    def _finish_tasks(self, old: Instance) -> None:
        """Warm shutdown: no new task, and each one that was taken is finished."""
        self._tools.say(f"{old.service}: waiting for its tasks to end")
        if not self._is_ending(old):
            self._memory.note_ending(old.id)
            self._tutor.docker("kill", "--signal", "TERM", old.id)
        deadline = self._tools.clock() + self._limits.tasks
        while self._tools.alive(old.pid) or self._again(old) is not None:
            if self._tools.clock() >= deadline:
                raise RollError(
                    f"{old.service}: the old worker {old.name} still works on tasks after {self._limits.tasks:g} s; it "
                    "takes no new ones and a new worker consumes: run this again later, nothing else is needed."
                )
            self._tools.sleep(0.3)

    def _is_ending(self, old: Instance) -> bool:
        """Whether it has been asked. A roll may have died between its note and its signal, so Celery itself tells."""
        if not self._memory.asked_to_end(old.id):
            return False
        printed = self._tutor.docker("logs", "--tail", "20000", old.id, check=False)
        return bool(_ENDING.search(printed.stdout) or _ENDING.search(printed.stderr))

    def _tidy(self, service: str, replicas: int) -> None:
        """Remove what a roll that died left behind, and give a single container the name it had before."""
        found = self._instances(service)
        running = [one for one in found if one.running]
        if len(running) < replicas:
            return
        for one in found:
            if not one.running:
                self._tutor.docker("rm", "--force", one.id)
        usual = f"{self._tutor.project_name}-{service}-1"
        if replicas == 1 and len(running) == 1 and running[0].name != usual:
            self._tutor.docker("rename", running[0].id, usual, check=False)
