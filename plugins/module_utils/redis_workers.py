# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch the workers' connections: Celery is known to leave a worker hanging after its broker went away.

A worker that was connected to the edge, and has had no connection for a while although Redis serves, is restarted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .docker import Docker, DockerError
from .netns import NetworkError, sockets
from .redis_settings import RedisSettings

_ESTABLISHED = 1


@dataclass
class _Seen:
    """What was seen of one process."""

    process: int
    connected: bool = False
    without_since: float = 0.0


class WorkerWatch:
    """Looks at the worker containers' own tables of connections."""

    def __init__(
        self,
        settings: RedisSettings,
        docker: Docker | None = None,
        say: Callable[[str], None] = print,
        clock: Callable[[], float] = time.monotonic,
        proc: Path = Path("/proc"),
    ) -> None:
        self._settings = settings
        self._docker = docker or Docker()
        self._say = say
        self._clock = clock
        self._proc = proc
        self._seen: dict[str, _Seen] = {}

    def look(self) -> None:
        """Restart those that hang. Called while Redis serves."""
        settings, now = self._settings, self._clock()
        for service in settings.workers:
            for one in self._docker.containers(settings.compose_project, service):
                if not one.running or not one.pid:
                    self._seen.pop(one.name, None)
                    continue
                seen = self._seen.get(one.name)
                if seen is None or seen.process != one.pid:
                    seen = self._seen[one.name] = _Seen(one.pid, without_since=now)
                connected = self._connected(one.pid)
                if connected is None or connected:
                    seen.connected |= bool(connected)
                    seen.without_since = now
                elif seen.connected and now - seen.without_since >= settings.limits.worker_seconds:
                    self._say(
                        f"redis: worker {one.name} has had no connection for {now - seen.without_since:.0f} s although "
                        "Redis serves: restarting it"
                    )
                    self._restart(one.id, seen, now)

    def _restart(self, identity: str, seen: _Seen, now: float) -> None:
        # Asked once a while, whatever comes of it.
        seen.without_since = now
        try:
            self._docker.restart(identity)
        except DockerError as problem:
            self._say(f"redis: {problem}")

    def _connected(self, process: int) -> bool | None:
        """Whether a process has a connection to Redis by the edge; None when it cannot be told."""
        edge = (self._settings.edge_address, self._settings.edge_port)
        try:
            found = sockets(process, self._proc)
        except NetworkError:
            return None
        return any(one.state == _ESTABLISHED and (one.remote, one.remote_port) == edge for one in found)
