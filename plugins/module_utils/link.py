# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that are kept between calls, because a flip has no time to log in again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from .stores.base import Unreachable


class Closeable(Protocol):
    """A connection."""

    def close(self) -> None:
        """End it."""


C = TypeVar("C", bound=Closeable)
T = TypeVar("T")

#: A connection that rested for so long is tried before it is used: its server may have gone.
RESTED_SECONDS = 1.0


class Kept(Generic[C]):
    """The way to one server: a connection for each thread, opened when it is needed and again after it was lost.

    Threads do not share a connection, because the guard of a flip has to get through while the flip's own call hangs.
    """

    def __init__(self, connect: Callable[[], C], clock: Callable[[], float] = time.monotonic) -> None:
        self._connect = connect
        self._clock = clock
        self._mine = threading.local()

    def connection(self) -> C:
        """This thread's connection, known to work a moment ago."""
        kept: C | None = getattr(self._mine, "connection", None)
        if kept is not None and self._clock() - self._mine.used > RESTED_SECONDS:
            try:
                self._try(kept)
            except Unreachable:
                self.close()
                kept = None
        if kept is None:
            kept = self._mine.connection = self._connect()
        self._mine.used = self._clock()
        return kept

    def close(self) -> None:
        """End this thread's connection; the next call opens another one."""
        kept: C | None = getattr(self._mine, "connection", None)
        self._mine.connection = None
        if kept is not None:
            kept.close()

    def _try(self, connection: C) -> None:
        """Ask the server something that costs nothing."""
        raise NotImplementedError

    def _call(self, work: Callable[[C], T]) -> T:
        try:
            return work(self.connection())
        except Unreachable:
            self.close()
            raise
