# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare two members of a set by content, at one point in time, while the platform writes.

Both are read as of the same cluster time, which neither blocks anybody nor minds writes: document by document in the
order of C(_id), byte by byte as the servers keep them. Databases, collections, indexes and GridFS (which is two
collections) are all covered. A server keeps such a past for five minutes; where reading takes longer, the time is moved
on and reading continues after the last document that was found equal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

from .mongodb_client import SNAPSHOT_GONE, Client, MongodbError
from .stores.base import Comparison, Difference, Progress

#: Databases of each server's own.
_OWN = ("admin", "config", "local")
#: What both ends hold in common is asked again before it is called a difference: it has no point in time.
_LOOKS = 5
_LOOK_SECONDS = 0.5


class Compare:
    """One comparison of the member that serves with one that follows it."""

    def __init__(
        self,
        serving: Client,
        following: Client,
        moment: Callable[[], Any],
        progress: Progress,
        batch: int = 1000,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ends = (serving, following)
        self._moment = moment
        self._progress = progress
        self._batch = batch
        self._clock = clock
        self._wait = wait
        self._rows = self._bytes = 0
        self._differences: list[Difference] = []

    def run(self) -> Comparison:
        """Compare everything."""
        begun = self._clock()
        at = self._moment()
        catalogue = self._compare_catalogues()
        total = sum(
            int(self._ends[0].command("dbStats", database=name)["dataSize"]) for name in {one[0] for one in catalogue}
        )
        collections = [(database, name) for (database, name), kind in sorted(catalogue.items()) if kind == "collection"]
        for database, name in collections:
            self._compare_collection(database, name, at, total)
        return Comparison(
            position=f"{at.time}:{at.inc}",
            items=len(collections),
            rows=self._rows,
            bytes=self._bytes,
            seconds=round(self._clock() - begun, 3),
            differences=self._differences,
        )

    def _compare_catalogues(self) -> dict[tuple[str, str], str]:
        """Compare what there is; returns the collections and views that both have, with their kind."""
        for look in range(1, _LOOKS + 1):
            ours, theirs = (read_catalogue(client) for client in self._ends)
            if ours == theirs or look == _LOOKS:
                break
            # It may have been made just now.
            self._wait(_LOOK_SECONDS)
        for key in sorted(ours.keys() ^ theirs.keys()):
            where = "the end that serves" if key in ours else "the end that follows"
            self._differences.append(Difference(".".join(key), f"only {where} has it"))
        common = sorted(ours.keys() & theirs.keys())
        for key in common:
            for what, mine in ours[key].items():
                if mine != theirs[key][what]:
                    self._differences.append(Difference(".".join(key), f"its {what} differ"))
        return {key: str(ours[key]["kind"]) for key in common}

    def _compare_collection(self, database: str, name: str, at: Any, total: int) -> None:
        last: bytes | None = None
        while True:
            try:
                found = self._walk(database, name, at, last, total)
            except MongodbError as problem:
                if problem.code not in SNAPSHOT_GONE:
                    raise
                last, at = self._last, self._moment()
                continue
            if found is not None:
                self._differences.append(Difference(f"{database}.{name}", found))
            return

    def _walk(self, database: str, name: str, at: Any, last: bytes | None, total: int) -> str | None:
        """Walk through both at once; returns what differs first. Remembers the last document that was equal."""
        self._last = last
        with ThreadPoolExecutor(2) as pool:
            ours, theirs = (_Ahead(pool, self._read(client, database, name, at, last)) for client in self._ends)
            for mine, other in _pairs(ours, theirs):
                if mine != other:
                    return _explain(mine, other)
                self._last = mine
                self._rows += 1
                self._bytes += len(mine)
                if not self._rows % self._batch:
                    self._progress(
                        "compare",
                        {"collection": f"{database}.{name}", "bytes_done": self._bytes, "bytes_total": total},
                    )
        return None

    def _read(self, client: Client, database: str, name: str, at: Any, last: bytes | None) -> Iterator[list[bytes]]:
        find: dict[str, Any] = {
            "sort": {"_id": 1},
            "readConcern": {"level": "snapshot", "atClusterTime": at},
        }
        if last is None:
            return client.batches(database, name, self._batch, **find)
        # From the last one on, of whatever type its _id and the next ones are; that one itself has been counted.
        find.update(min={"_id": _identity(last)}, hint={"_id": 1})
        later = client.batches(database, name, self._batch, **find)
        return (_without(batch, last) for batch in later)


def read_catalogue(client: Client) -> dict[tuple[str, str], dict[str, Any]]:
    """What a server has: collections and views by database and name, with their options and indexes."""
    found = {}
    for database in (one["name"] for one in client.command("listDatabases", nameOnly=True)["databases"]):
        if database in _OWN:
            continue
        for one in client.listed("listCollections", 1, database):
            name = str(one["name"])
            if name.startswith("system.") and not name.startswith(("system.js", "system.buckets.")):
                continue
            kind = one.get("type", "collection")
            indexes = [] if kind != "collection" else client.listed("listIndexes", name, database)
            found[database, name] = {
                "kind": kind,
                "options": one.get("options") or {},
                "indexes": sorted(indexes, key=lambda index: str(index["name"])),
            }
    return found


class _Ahead:
    """Batches of one end, the next of which is already being read."""

    def __init__(self, pool: ThreadPoolExecutor, batches: Iterator[list[bytes]]) -> None:
        self._pool = pool
        self._batches = batches
        self._next = pool.submit(next, batches, None)

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(self._whole())

    def _whole(self) -> Iterator[list[bytes]]:
        while (batch := self._next.result()) is not None:
            self._next = self._pool.submit(next, self._batches, None)
            yield batch


def _pairs(ours: _Ahead, theirs: _Ahead) -> Iterator[tuple[bytes, bytes]]:
    mine, other = iter(ours), iter(theirs)
    while True:
        one, two = next(mine, b""), next(other, b"")
        if not one and not two:
            return
        yield one, two


def _explain(mine: bytes, other: bytes) -> str:
    if not other:
        return f"the end that follows lacks the document {_identity(mine)!r}, and perhaps later ones"
    if not mine:
        return f"the end that serves lacks the document {_identity(other)!r}, and perhaps later ones"
    if _identity(mine) != _identity(other):
        return f"where one end has the document {_identity(mine)!r}, the other one has {_identity(other)!r}"
    return f"the document {_identity(mine)!r} has other content"


def _identity(document: bytes) -> Any:
    from bson import decode

    return decode(document).get("_id")


def _without(batch: list[bytes], document: bytes) -> list[bytes]:
    return batch[1:] if batch and batch[0] == document else batch
