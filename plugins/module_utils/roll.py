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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from .caddy import CaddyError, Upstream
from .netns import NetworkError
from .roll_service import ServiceRoll
from .roll_state import Containers, Instance, Memory, Rendered, below, rendered
from .roll_tools import Limits, Platform, Report, RollError, Tools

__all__ = ["Limits", "Report", "RollError", "Tools", "as_read", "roll", "stale"]

#: Stores and helpers: they have one container, and no settings that an offload changes.
NEVER = frozenset(
    {"caddy", "elasticsearch", "meilisearch", "minio", "mongodb", "mysql", "permissions", "redis", "smtp"}
)


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
        self._containers = Containers(tutor)
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
            rolling = ServiceRoll(
                self._tutor,
                self._tools,
                self._limits,
                self._memory,
                self._report,
                self._outdated,
                self._upstreams,
            )
            for service in sorted(due, key=self._order):
                begun = self._tools.clock()
                rolling.roll(service)
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

    def candidates(self, services: Sequence[str]) -> dict[str, list[Instance]]:
        """The services that can be rolled, with their running containers."""
        running: dict[str, list[Instance]] = {}
        for one in self._containers.all():
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
        return (3 if any(one.celery for one in self._containers.running(service)) else 2, service)

    def _sites(self) -> dict[str, Upstream]:
        proxy = self._containers.caddy()
        if proxy is None:
            return {}
        return {one.name: one for one in self._tools.caddy(proxy.pid).upstreams()}
