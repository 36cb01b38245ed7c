# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a logical copy has come, in the figures of a physical one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from .mysql_digest import Chunk, Table
from .stores.base import amounts


class CopyTally:
    """Counts rows in bytes of the source's tables, of which the total is known; threads share it."""

    def __init__(self, member: str, tables: Sequence[Table], clock: Callable[[], float] = time.monotonic) -> None:
        self._member = member
        self._total = sum(table.bytes for table in tables)
        self._clock = clock
        self._begun = clock()
        self._lock = threading.Lock()
        self._table = ""
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """What has been copied so far."""
        return self._bytes

    def add(self, chunk: Chunk, rows: int) -> None:
        """Count rows of a table."""
        with self._lock:
            self._table = chunk.table.label
            self._bytes += rows * chunk.table.row_bytes

    def figures(self) -> dict[str, object]:
        """What an operator sees."""
        with self._lock:
            table, done = self._table, self._bytes
        # The server estimates the number of rows; so the total may turn out larger or smaller in the end.
        total = max(self._total, done)
        seconds = max(self._clock() - self._begun, 0.001)
        return {"member": self._member, "stage": "rows", "table": table, **amounts(done, total, seconds)}
