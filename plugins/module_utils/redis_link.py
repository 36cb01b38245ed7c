# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to Redis that are kept between calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .link import Kept
from .redis_client import Command, Connection


class Link(Kept[Connection]):
    """The way to one Redis server."""

    def call(self, *words: str | bytes | int | float) -> Any:
        """What the server answers to a command."""
        return self._call(lambda connection: connection.call(*words))

    def text(self, *words: str | bytes | int | float) -> str:
        """The same, where the answer is one text."""
        return self._call(lambda connection: connection.text(*words))

    def batch(self, commands: Iterable[Command]) -> list[Any]:
        """The answers to many commands in one go."""
        return self._call(lambda connection: connection.batch(commands))

    def _try(self, connection: Connection) -> None:
        connection.call("PING")
