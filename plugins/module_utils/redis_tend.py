# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the follower does for Redis between stages: the container boots closed, so somebody has to open it again.

Only the pointer decides. An end that takes writes although the pointer names the other one is fenced, never opened.
"""

from __future__ import annotations

from collections.abc import Callable

from .edge import read_pointer
from .flip_marker import FlipMarker
from .paths import PATHS, Paths
from .redis_backlog import INDEX, put_back
from .redis_client import Connection, RedisError
from .redis_info import keys_by_database, parse_info
from .redis_link import Link
from .redis_local import LocalEnd
from .redis_server import NOBODY, Server
from .redis_settings import RedisSettings
from .redis_workers import WorkerWatch
from .store_lock import locked
from .stores.base import LOCAL, Probe, StoreError, Tend

_SECONDS = 2.0

Say = Callable[[str], None]


def say(text: str) -> None:
    """Write a line to the journal."""
    print(text, flush=True)


def prober(settings: RedisSettings, connect: Callable[..., Connection] = Connection) -> Probe:
    """Tells whether the container at an address refuses writes; keeps its connection."""
    kept: dict[tuple[str, int], Server] = {}

    def ask(address: str, port: int) -> bool | None:
        here = (address, port)
        if here not in kept:
            kept.clear()
            kept[here] = _server(settings, connect, address, port)
        try:
            return kept[here].refuses()
        except RedisError:
            # Without our account it has never been prepared, and so never fenced.
            return False
        except StoreError:
            return None

    return ask


def tender(
    settings: RedisSettings,
    paths: Paths = PATHS,
    connect: Callable[..., Connection] = Connection,
    watch: WorkerWatch | None = None,
    say: Say = say,
) -> Tend:
    """Opens the container that the pointer names, and lets one that it does not name follow."""
    workers = watch or WorkerWatch(settings, say=say)

    def tend(address: str, port: int) -> None:
        with locked(paths.lock("redis"), "tutorops follow", 0.0):
            if FlipMarker.read(paths.flip("redis")) is not None:
                return
            server = _server(settings, connect, address, port)
            end = LocalEnd(settings, _Found(address), connect)  # type: ignore[arg-type]
            try:
                if read_pointer(paths.pointer("redis"), "redis") == LOCAL:
                    _serve(settings, server, end, say)
                else:
                    _stand_by(settings, server, end, say)
            except RedisError as problem:
                if problem.code not in ("WRONGPASS", "NOAUTH"):
                    raise
                return  # it was never prepared
            finally:
                server.link.close()
                end.server.link.close()
        workers.look()

    return tend


class _Found:
    """Where the container is: the follower has just told."""

    def __init__(self, address: str) -> None:
        self._address = address

    def address(self, project: str, service: str) -> str | None:
        return self._address


def _server(settings: RedisSettings, connect: Callable[..., Connection], address: str, port: int) -> Server:
    def login() -> Connection:
        return connect(
            host=address, port=port, user=settings.admin_user, password=settings.admin_password, timeout=_SECONDS
        )

    return Server("the local end", Link(login))


def _serve(settings: RedisSettings, server: Server, end: LocalEnd, say: Say) -> None:
    """The pointer names it: it has to take writes."""
    state = server.look()
    if not state.master and (state.host, state.port) not in (NOBODY, way_back(settings)):
        raise StoreError(
            f"the pointer names the local end, but it follows {state.host}:{state.port}, which is not ours to end: "
            "find out who told it to"
        )
    if not state.master or server.fenced():
        end.open()
        say("redis: the container was closed and the pointer names it: opened it")
    elif _aside(server):
        put_back(lambda number: end.login(database=number))
        say("redis: put back the tasks that an interrupted flip had put aside")


def _stand_by(settings: RedisSettings, server: Server, end: LocalEnd, say: Say) -> None:
    """The pointer names the cluster: it has to refuse writes and to follow, unless that was ended."""
    state = server.look()
    if state.master and not server.fenced():
        server.fence()
        raise StoreError(
            "the container took writes although the pointer names the cluster: it is fenced now; compare both ends, "
            "because what was written to it is nowhere else"
        )
    if (settings.state / "committed.json").exists() or (state.host, state.port) == way_back(settings):
        return
    end.rejoin(way_back(settings))
    say("redis: the container follows the cluster again")


def way_back(settings: RedisSettings) -> tuple[str, int]:
    """Where it follows the cluster."""
    return settings.edge_address, settings.way_back_port


def _aside(server: Server) -> bool:
    numbers = keys_by_database(parse_info(server.link.text("INFO", "keyspace")))
    commands = [word for number in numbers for word in (("SELECT", number), ("EXISTS", INDEX))]
    found = server.link.batch([*commands, ("SELECT", 0)])
    return any(answer == 1 for answer in found)
