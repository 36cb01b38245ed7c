# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to MySQL that are kept between calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .link import Kept
from .mysql_client import Connection


class Link(Kept[Connection]):
    """The way to one MySQL server."""

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a statement."""
        return self._call(lambda connection: connection.query(sql, args))

    def value(self, sql: str, args: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None without one."""
        return self._call(lambda connection: connection.value(sql, args))

    def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        """Run a statement; returns how many rows it changed."""
        return self._call(lambda connection: connection.execute(sql, args))

    def _try(self, connection: Connection) -> None:
        connection.query("SELECT 1")
