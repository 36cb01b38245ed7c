# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of both ends at the same point in time, while writes go on.

Nobody is held up for it. The end that follows is closed, so stopping its applier freezes it. The serving end is caught
between two transactions: its GTID set is read before and after the snapshots are made, and they are made again until it
did not move. Then the frozen end is taken to exactly that set, snapshots are made there, and its applier goes on; from
there on both ends are read as they were, for as long as it takes.

A transaction that is just being committed may be visible a moment before its GTID counts as executed. From its place in
the binary log to then the server calls the GTID owned, so the serving end is at rest only while it owns none. A server
that never rests is taken as it is by a comparison: that can make equal ends look different once, never different ends
equal, and whoever compares looks at what differed again, at a later point. A copy has to be exact, and waits.

What a transaction has read, nobody can ALTER until it ends, and whoever wants to makes all others wait. So a reader
lets go of every table as soon as it has read a piece of it; the snapshot stays.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from . import mysql_channel as channels
from . import mysql_gtid as gtid
from .mysql_client import Connection
from .mysql_link import Link
from .stores.base import StoreError

#: How often the serving end is tried to be caught at rest before what was caught is taken as it is.
TRIES = 200
_SESSION = (
    # Nothing of the session may show in what is compared.
    "SET SESSION time_zone = '+00:00', sql_mode = '', group_concat_max_len = 16777216,"
    " transaction_isolation = 'REPEATABLE-READ'"
)
_SNAPSHOT = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
_BEGINNING = "tutorops_beginning"
_READING_SECONDS = 3600.0
_APPLY_SECONDS = 60.0


class ReadableEnd(Protocol):
    """What of an end a comparison needs."""

    name: str

    @property
    def server(self) -> Link:
        """The kept connection to the server that serves or follows."""

    def dial(self, timeout: float) -> Connection:
        """A connection for the caller alone."""


@dataclass(frozen=True)
class Snapshots:
    """Connections to both ends that see the same point in time."""

    position: str
    exact: bool
    tries: int
    frozen_seconds: float
    serving: list[Connection]
    standby: list[Connection]


@contextlib.contextmanager
def snapshots(
    serving: ReadableEnd,
    standby: ReadableEnd,
    channel: str,
    count: int,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Snapshots]:
    """Open ``count`` connections to each end that see both as they were at one position."""
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(serving.dial(_READING_SECONDS)) for _ in range(count)]
        targets = [stack.enter_context(standby.dial(_READING_SECONDS)) for _ in range(count)]
        for connection in (*sources, *targets):
            connection.execute(_SESSION)
        begun = clock()
        follower = standby.server
        try:
            follower.execute("STOP REPLICA SQL_THREAD FOR CHANNEL %s", (channel,))
            position, tries, exact = _catch(sources)
            _advance(follower, channel, position, clock)
            for connection in targets:
                _begin(connection)
        finally:
            follower.execute("START REPLICA SQL_THREAD FOR CHANNEL %s", (channel,))
        yield Snapshots(position, exact, tries, clock() - begun, sources, targets)


def freeze(
    connections: Sequence[Connection],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> str:
    """Make snapshots of one server, all at exactly the position that is returned."""
    ends = clock() + seconds
    for connection in connections:
        connection.execute(_SESSION)
    while True:
        position, _, exact = _catch(connections, 1)
        if exact:
            return position
        if clock() >= ends:
            raise StoreError(
                f"writes never paused for a moment in {seconds:.0f} s, so no copy can begin: run the same playbook "
                "again when the platform is less busy"
            )
        wait(0.002)


def let_go(connection: Connection) -> None:
    """Let others change the tables that a snapshot has read so far."""
    connection.execute(f"ROLLBACK TO SAVEPOINT {_BEGINNING}")


def _catch(sources: Sequence[Connection], most: int = TRIES) -> tuple[str, int, bool]:
    """Make snapshots on the serving end between two of its transactions; returns its GTID set and how it went."""
    position = ""
    for tries in range(1, most + 1):
        position, owned = _stand(sources[0])
        for connection in sources:
            _begin(connection)
        if not owned and _stand(sources[0]) == (position, ""):
            return position, tries, True
    return position, most, False


def _begin(connection: Connection) -> None:
    connection.execute(_SNAPSHOT)
    connection.execute(f"SAVEPOINT {_BEGINNING}")


def _stand(connection: Connection) -> tuple[str, str]:
    """What is executed and what is on its way. In this order: what ends in between is executed then."""
    owned = gtid.plain(connection.value("SELECT @@global.gtid_owned"))
    return gtid.plain(connection.value("SELECT @@global.gtid_executed")), owned


def _advance(follower: Link, channel: str, position: str, clock: Callable[[], float]) -> None:
    """Take a frozen end to a position and not beyond."""
    if channels.missing(follower, position):
        follower.execute(f"START REPLICA SQL_THREAD UNTIL SQL_AFTER_GTIDS = '{position}' FOR CHANNEL '{channel}'")
        reached = channels.reach(follower, position, _APPLY_SECONDS, clock)
        follower.execute("STOP REPLICA SQL_THREAD FOR CHANNEL %s", (channel,))
        if not reached:
            state = channels.look(follower, channel)
            raise StoreError(
                f"the end that follows did not reach the point of comparison within {_APPLY_SECONDS:.0f} s"
                f" ({channels.trouble(state)}): compare again when it follows closely"
            )
    beyond = gtid.plain(follower.value("SELECT GTID_SUBTRACT(@@global.gtid_executed, %s)", (position,)))
    if beyond:
        raise StoreError(
            f"the end that follows holds {gtid.count(beyond)} transaction(s) that the serving end lacks ({beyond}): "
            "somebody "
            "wrote to it"
        )
