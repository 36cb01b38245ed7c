# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare two ends by content while the platform writes.

Every key is read on both ends. Those that differ are looked at again, round by round, each time after the end that
follows has caught up: what replication brings, it has brought by then. The few that change all the time are looked at
last, in brief pauses of writes; only what differs then is a difference.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .redis_client import Connection
from .redis_digest import MISSING, Reader, Value
from .redis_info import Replication, keys_by_database, parse_info, replication, series
from .stores.base import Comparison, Difference, Progress, StoreError

#: Keys that are read at once.
_PAGE = 300
_ROUNDS = 6
_PAUSES = 20
_SHOWN = 20
#: Times of expiry that may differ where a server tells only what is left, in milliseconds.
_TOLERANCE = 3000
#: A key so near its end, in milliseconds, may be gone on one end already: their clocks differ.
_ENDING = 5000
_REACH_SECONDS = 10.0

Key = tuple[int, bytes]
#: Opens a connection to a numbered database.
Dial = Callable[[int], Connection]


@dataclass
class Counts:
    """What was read."""

    keys: int = 0
    bytes: int = 0


class Side:
    """One end: a connection for each of its databases, and one to control it."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._open: dict[int, Connection] = {}
        self._readers: dict[int, Reader] = {}
        self.control = dial(0)
        self.version = parse_info(self.control.text("INFO", "server")).get("redis_version", "")

    def reader(self, database: int) -> Reader:
        """Reads a database."""
        if database not in self._readers:
            self._readers[database] = Reader(self.connection(database), self.exact)
        return self._readers[database]

    def connection(self, database: int) -> Connection:
        """A connection to a database."""
        if database not in self._open:
            self._open[database] = self._dial(database)
        return self._open[database]

    @property
    def exact(self) -> bool:
        """Whether it tells a time of expiry."""
        return series(self.version) >= (7, 0)

    def look(self) -> Replication:
        """Its place in replication."""
        return replication(parse_info(self.control.text("INFO", "replication")))

    def keys(self) -> dict[int, int]:
        """How many keys each of its databases has."""
        return keys_by_database(parse_info(self.control.text("INFO", "keyspace")))

    def close(self) -> None:
        """End all connections."""
        for one in (self.control, *self._open.values()):
            one.close()


class Compare:
    """One comparison."""

    def __init__(
        self,
        serving: Side,
        following: Side,
        progress: Progress,
        pause_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._serving = serving
        self._following = following
        self._progress = progress
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._wait = wait
        self._counts = Counts()
        self._tolerance = 0 if serving.exact and following.exact else _TOLERANCE

    def run(self) -> Comparison:
        """Compare everything."""
        begun = self._clock()
        suspects = self._all()
        for number in range(_ROUNDS):
            if not suspects:
                break
            self._progress("compare", {"round": number + 1, "keys_left": len(suspects)})
            self._catch_up()
            left = [key for page in _pages(suspects) for key, _ in self._differing(page)]
            if len(left) == len(suspects):
                suspects = left
                break
            suspects = left
        position, differences = self._settle(suspects)
        return Comparison(
            position=position,
            items=len(self._serving.keys()),
            rows=self._counts.keys,
            bytes=self._counts.bytes,
            seconds=round(self._clock() - begun, 3),
            differences=differences,
        )

    def _all(self) -> list[Key]:
        """The keys that differ at the first look."""
        suspects: list[Key] = []
        total = sum(self._serving.keys().values())
        for database in sorted(self._serving.keys()):
            for page in _scan(self._serving.connection(database), database):
                suspects += [key for key, _ in self._differing(page, counted=True)]
                self._progress(
                    "compare",
                    {"keys_done": self._counts.keys, "keys_total": total, "bytes_done": self._counts.bytes},
                )
        for database in sorted(self._following.keys()):
            connection = self._serving.connection(database)
            for page in _scan(self._following.connection(database), database):
                there = connection.batch([("EXISTS", key) for _, key in page])
                suspects += [key for key, exists in zip(page, there, strict=True) if not exists]
        return suspects

    def _differing(self, page: list[Key], counted: bool = False) -> list[tuple[Key, str]]:
        """The keys of one database that differ, and in what."""
        if not page:
            return []
        database, names = page[0][0], [name for _, name in page]
        ours = self._serving.reader(database).read(names)
        theirs = self._following.reader(database).read(names)
        if counted:
            self._counts.keys += len(page)
            self._counts.bytes += sum(one.size for one in ours)
        now = time.time() * 1000
        return [
            (key, what)
            for key, one, other in zip(page, ours, theirs, strict=True)
            if (what := one.differs(other, self._tolerance)) and not _ending(one, other, now)
        ]

    def _catch_up(self) -> None:
        position = self._serving.look().position
        ends = self._clock() + _REACH_SECONDS
        while not self._following.look().has(position):
            if self._clock() >= ends:
                raise StoreError(
                    f"the end that follows does not reach {position} within {_REACH_SECONDS:.0f} s: see its link in "
                    "`tutorops status`, then compare again"
                )
            self._wait(0.005)

    def _settle(self, suspects: list[Key]) -> tuple[str, list[Difference]]:
        """Look at what is left while writes wait, a little at a time."""
        left, found = list(suspects), []
        for number in range(_PAUSES):
            self._progress("compare", {"pause": number + 1, "keys_left": len(left)})
            ends = self._clock() + self._pause_seconds
            with self._paused():
                position = self._serving.look().position
                self._catch_up()
                while left and self._clock() < ends:
                    page = next(_pages(left))
                    differing = self._differing(page)
                    if self._clock() >= ends + self._pause_seconds:
                        break
                    found += [_difference(key, what) for key, what in differing]
                    del left[: len(page)]
                ours, theirs = self._serving.keys(), self._following.keys()
                late = self._clock() >= ends + self._pause_seconds
            if not left and not late:
                found += [
                    Difference(
                        f"database {one}", f"it holds {ours.get(one, 0)} keys here and {theirs.get(one, 0)} there"
                    )
                    for one in sorted({*ours, *theirs})
                    if ours.get(one, 0) != theirs.get(one, 0)
                ]
                return position, found
            self._wait(self._pause_seconds)
        raise StoreError(
            f"{len(left)} keys change faster than they can be compared in {_PAUSES} pauses of {self._pause_seconds} s: "
            "compare again when less is going on"
        )

    @contextlib.contextmanager
    def _paused(self) -> Iterator[None]:
        control = self._serving.control
        # It ends by itself, twice as late as what is read under it is believed.
        control.call("CLIENT", "PAUSE", int(self._pause_seconds * 4000), "WRITE")
        try:
            yield
        finally:
            control.call("CLIENT", "UNPAUSE")


def _scan(connection: Connection, database: int) -> Iterator[list[Key]]:
    cursor = b"0"
    while True:
        cursor, keys = connection.call("SCAN", cursor, "COUNT", _PAGE)
        yield [(database, key) for key in keys]
        if cursor == b"0":
            return


def _pages(keys: list[Key]) -> Iterator[list[Key]]:
    """Pages of keys of one database each."""
    page: list[Key] = []
    for key in keys:
        if page and (len(page) >= _PAGE or page[0][0] != key[0]):
            yield page
            page = []
        page.append(key)
    if page:
        yield page


def _ending(one: Value, other: Value, now: float) -> bool:
    """Whether one of both is missing because its time has come."""
    if MISSING not in (one, other):
        return False
    expires = max(one.expires, other.expires)
    return 0 <= expires < now + _ENDING


def _difference(key: Key, what: str) -> Difference:
    name = key[1].decode("utf-8", "backslashreplace")
    return Difference(f"database {key[0]}, key {name[:80]}", what)
