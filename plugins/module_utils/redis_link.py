# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to Redis that are kept between calls, because a flip has no time to log in again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .redis_client import Command, Connection
from .stores.base import Unreachable

T = TypeVar("T")

#: A connection that rested for so long is tried before it is used: its server may have gone.
RESTED_SECONDS = 1.0


class Link:
    """The way to one server: a connection for each thread, opened when it is needed and again after it was lost.

    Threads do not share a connection, because the guard of a flip has to get through while the flip's own call hangs.
    """

    def __init__(self, connect: Callable[[], Connection], clock: Callable[[], float] = time.monotonic) -> None:
        self._connect = connect
        self._clock = clock
        self._mine = threading.local()

    def call(self, *words: str | bytes | int | float) -> Any:
        """What the server answers to a command."""
        return self._try(lambda connection: connection.call(*words))

    def text(self, *words: str | bytes | int | float) -> str:
        """The same, where the answer is one text."""
        return self._try(lambda connection: connection.text(*words))

    def batch(self, commands: Iterable[Command]) -> list[Any]:
        """The answers to many commands in one go."""
        return self._try(lambda connection: connection.batch(commands))

    def connection(self) -> Connection:
        """This thread's connection, known to work a moment ago."""
        kept: Connection | None = getattr(self._mine, "connection", None)
        if kept is not None and self._clock() - self._mine.used > RESTED_SECONDS:
            try:
                kept.call("PING")
            except Unreachable:
                self.close()
                kept = None
        if kept is None:
            kept = self._mine.connection = self._connect()
        self._mine.used = self._clock()
        return kept

    def close(self) -> None:
        """End this thread's connection; the next call opens another one."""
        kept: Connection | None = getattr(self._mine, "connection", None)
        self._mine.connection = None
        if kept is not None:
            kept.close()

    def _try(self, work: Callable[[Connection], T]) -> T:
        try:
            return work(self.connection())
        except Unreachable:
            self.close()
            raise
