# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the backlog of tasks aside while a flip looks for its quiet moment.

A worker with a backlog is never quiet: it takes the next task while it ends one. So the waiting tasks are renamed out
of its sight, it ends what it has fetched, and new tasks are still served at once. They are put back, in their order, by
whoever opens an end. Renamed lists are data as any other: they are on the disk, and follow to the other end.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .redis_client import Connection
from .redis_info import keys_by_database, parse_info

#: What a list is called while it is aside; and the set of those that are, so that nobody has to search for them.
ASIDE = "tutorops:aside:"
INDEX = "tutorops:aside"
#: Where Celery's transport (kombu) writes down which queues there are, and how it parts the words in it.
_BINDINGS = "_kombu.binding.*"
_PART = b"\x06\x16"
_UNACKED = "unacked"
_PAGE = 1000

#: KEYS: a queue, its name aside, the index. Newer tasks stand left of older ones, and workers take from the right.
_PUT_ASIDE = """
local count = redis.call('LLEN', KEYS[1])
if count == 0 then return 0 end
redis.call('SADD', KEYS[3], KEYS[1])
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('RENAME', KEYS[1], KEYS[2])
else while redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT') do end end
return count
"""
_PUT_BACK = """
local count = redis.call('LLEN', KEYS[2])
if count > 0 then
  while redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT') do end
  redis.call('RENAME', KEYS[2], KEYS[1])
end
redis.call('SREM', KEYS[3], KEYS[1])
return count
"""

#: Opens a connection to a numbered database.
Open = Callable[[int], Connection]


def put_aside(open_database: Open) -> int:
    """Put every queue's waiting tasks aside; returns how many."""
    moved = 0
    for number in _databases(open_database):
        with open_database(number) as connection:
            for queue in _queues(connection):
                moved += int(connection.call("EVAL", _PUT_ASIDE, "3", queue, ASIDE.encode() + queue, INDEX))
    return moved


def put_back(open_database: Open) -> int:
    """Put back what is aside; returns how many tasks. Harmless where nothing is."""
    moved = 0
    for number in _databases(open_database):
        with open_database(number) as connection:
            for queue in connection.call("SMEMBERS", INDEX):
                moved += int(connection.call("EVAL", _PUT_BACK, "3", queue, ASIDE.encode() + queue, INDEX))
    return moved


def await_workers(
    open_database: Open,
    seconds: float,
    still_seconds: float = 1.0,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> int:
    """Wait until the workers have begun all tasks that they fetched; returns how many they go on to keep.

    They keep a task with a later start, one that is acknowledged only at its end, and one behind a long one. The end of
    a connection gives these back to the queue.
    """
    ends = clock() + seconds
    before, since = -1, clock()
    numbers = _databases(open_database)
    while True:
        kept = 0
        for number in numbers:
            with open_database(number) as connection:
                kept += int(connection.call("HLEN", _UNACKED))
        if kept != before:
            before, since = kept, clock()
        if not kept or clock() - since >= still_seconds or clock() >= ends:
            return kept
        wait(0.05)


def scan(connection: Connection, pattern: str, kind: str = "") -> list[bytes]:
    """The keys of a database that match."""
    found: set[bytes] = set()
    cursor = b"0"
    while True:
        kinds = ("TYPE", kind) if kind else ()
        cursor, keys = connection.call("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE, *kinds)
        found.update(keys)
        if cursor == b"0":
            return sorted(found)


def _databases(open_database: Open) -> list[int]:
    with open_database(0) as connection:
        return sorted(keys_by_database(parse_info(connection.text("INFO", "keyspace"))))


def _queues(connection: Connection) -> list[bytes]:
    """Queues that are bound, and their lists by priority."""
    names = {
        entry.rpartition(_PART)[2]
        for bindings in scan(connection, _BINDINGS, "set")
        for entry in connection.call("SMEMBERS", bindings)
    }
    if not names:
        return []
    lists = scan(connection, "*", "list")
    return [key for key in lists if key.partition(_PART)[0] in names and not key.startswith(ASIDE.encode())]
