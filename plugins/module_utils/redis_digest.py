# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read keys so that two servers of other releases can be compared: type, time of expiry, and a digest of the value.

How Redis keeps a value (its encoding, the order of a set) differs between servers that hold the same; so values are
read by type, and what has no order is summed up without one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .redis_client import Connection
from .stores.base import StoreError

#: Elements that are read at once; larger values are read page by page.
PAGE = 2000
_SIZES = {"string": "STRLEN", "list": "LLEN", "set": "SCARD", "hash": "HLEN", "zset": "ZCARD", "stream": "XLEN"}
_NUMBER = 1 << 128


@dataclass(frozen=True)
class Value:
    """What is compared of a key. ``expires`` is a time in milliseconds since 1970, -1 for never."""

    kind: str
    expires: int = -1
    digest: int = 0
    size: int = 0

    def differs(self, other: Value, tolerance: int = 0) -> str:
        """In what it differs from another one, or an empty text."""
        if self.kind != other.kind:
            return f"it is {self.kind} here and {other.kind} there"
        if self.digest != other.digest:
            return f"its content ({self.kind}) differs"
        never = self.expires < 0 or other.expires < 0
        if self.expires != other.expires and (never or abs(self.expires - other.expires) > tolerance):
            return f"its time of expiry differs ({self.expires} here, {other.expires} there)"
        return ""


MISSING = Value("missing")


class Reader:
    """Reads the keys of one database of one server."""

    def __init__(self, connection: Connection, exact: bool) -> None:
        self._connection = connection
        #: Before Redis 7 only the time that is left could be asked for.
        self._exact = exact

    def read(self, keys: Sequence[bytes]) -> list[Value]:
        """What is under some keys."""
        asked: list[tuple[str | bytes, ...]] = []
        for key in keys:
            asked += [("TYPE", key), ("PEXPIRETIME" if self._exact else "PTTL", key)]
        told = self._batch([*asked, ("TIME",)])
        seconds, micros = told.pop()
        now = int(seconds) * 1000 + int(micros) // 1000
        kinds = [one.decode() for one in told[::2]]
        expiries = [int(one) if self._exact or int(one) < 0 else now + int(one) for one in told[1::2]]
        sizes = self._batch([(_SIZES.get(kind, "EXISTS"), key) for key, kind in zip(keys, kinds, strict=True)])
        small = [not isinstance(size, StoreError) and int(size) <= PAGE for size in sizes]
        reads = [
            _whole(key, kind) if few or kind == "string" else ("EXISTS", key)
            for key, kind, few in zip(keys, kinds, small, strict=True)
        ]
        values = self._batch(reads)
        found = []
        for key, kind, expires, few, value in zip(keys, kinds, expiries, small, values, strict=True):
            if kind == "none" or isinstance(value, StoreError) or value is None:
                # Gone, or made anew as something else between two questions: the next round asks again.
                found.append(MISSING)
                continue
            digest, size = _digest(kind, value) if few or kind == "string" else self._large(key, kind)
            if kind == "stream":
                digest = (digest + self._groups(key)) % _NUMBER
            found.append(Value(kind, expires, digest, size))
        return found

    def _large(self, key: bytes, kind: str) -> tuple[int, int]:
        """The digest of a value that is read page by page."""
        if kind in ("set", "hash"):
            return self._unordered(key, "SSCAN" if kind == "set" else "HSCAN", kind)
        hasher, size, place, last = hashlib.blake2b(digest_size=16), 0, 0, b"-"
        while True:
            if kind == "list":
                page = self._connection.call("LRANGE", key, place, place + PAGE - 1)
            elif kind == "zset":
                page = self._connection.call("ZRANGE", key, place, place + PAGE - 1, "WITHSCORES")
            else:
                page = self._connection.call("XRANGE", key, last, "+", "COUNT", PAGE)
            if not page:
                return int.from_bytes(hasher.digest(), "big"), size
            for part in _flat(page):
                size += len(part)
                hasher.update(len(part).to_bytes(8, "big") + part)
            place += PAGE
            if kind == "stream":
                last = b"(" + page[-1][0]

    def _unordered(self, key: bytes, command: str, kind: str) -> tuple[int, int]:
        seen: set[int] = set()
        size, cursor = 0, b"0"
        while True:
            cursor, page = self._connection.call(command, key, cursor, "COUNT", PAGE)
            for element in _elements(kind, page):
                number = _number(element)
                if number not in seen:
                    seen.add(number)
                    size += sum(map(len, element))
            if cursor == b"0":
                return sum(seen) % _NUMBER, size

    def _groups(self, key: bytes) -> int:
        """The consumer groups of a stream, with what each consumer has got and not acknowledged."""
        total = 0
        for group in self._connection.call("XINFO", "GROUPS", key):
            told = dict(zip(group[::2], group[1::2], strict=False))
            name = told[b"name"]
            pending = self._connection.call("XPENDING", key, name, "-", "+", 100000)
            owed = [part for entry in pending for part in (entry[0], entry[1], str(entry[3]).encode())]
            total += _number([name, told[b"last-delivered-id"], *owed])
        return total

    def _batch(self, commands: Iterable[Sequence[str | bytes]]) -> list[Any]:
        return self._connection.batch(commands)


def _whole(key: bytes, kind: str) -> tuple[str | bytes, ...]:
    return {
        "string": ("GET", key),
        "list": ("LRANGE", key, "0", "-1"),
        "set": ("SMEMBERS", key),
        "hash": ("HGETALL", key),
        "zset": ("ZRANGE", key, "0", "-1", "WITHSCORES"),
        "stream": ("XRANGE", key, "-", "+"),
        "none": ("EXISTS", key),
    }.get(kind, ("DUMP", key))


def _digest(kind: str, value: Any) -> tuple[int, int]:
    if kind in ("set", "hash"):
        elements = list(_elements(kind, value))
        return sum(map(_number, elements)) % _NUMBER, sum(len(part) for one in elements for part in one)
    parts = list(_flat(value))
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big") + part)
    return int.from_bytes(hasher.digest(), "big"), sum(map(len, parts))


def _elements(kind: str, page: Sequence[bytes]) -> Iterable[list[bytes]]:
    if kind == "set":
        return ([one] for one in page)
    return ([name, value] for name, value in zip(page[::2], page[1::2], strict=True))


def _flat(value: Any) -> Iterable[bytes]:
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _flat(one)
    else:
        yield value if isinstance(value, bytes) else str(value).encode()


def _number(parts: Sequence[bytes]) -> int:
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big") + part)
    return int.from_bytes(hasher.digest(), "big")
