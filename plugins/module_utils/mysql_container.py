# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a MySQL container with the client that is inside it.

A plan changes nothing, so it cannot install a Python driver on the app server; the container has a client of its own.
The password goes in by standard input, as an option file, and never into a process list.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any
from xml.etree import ElementTree

from .stores.base import StoreError, Unreachable

Run = Callable[..., "subprocess.CompletedProcess[str]"]

_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_SCRIPT = 'exec mysql --defaults-extra-file=/dev/fd/3 --xml --commands=OFF -e "$1" 3<&0 </dev/null'


class ContainerConnection:
    """A read-only stand-in for mysql_client.Connection; every value comes back as text, or None for NULL."""

    def __init__(
        self, container: str, user: str, password: str, timeout: float = 30.0, run: Run = subprocess.run
    ) -> None:
        self._container = container
        self._options = _option_file(user, password)
        self._timeout = timeout
        self._run = run

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a statement. ``args`` replace ``%s`` as quoted text or numbers."""
        statement = sql % tuple(_literal(value) for value in args) if args else sql
        command = ["docker", "exec", "-i", self._container, "sh", "-c", _SCRIPT, "sh", statement]
        try:
            done = self._run(
                command, input=self._options, capture_output=True, text=True, timeout=self._timeout, check=False
            )
        except subprocess.TimeoutExpired as problem:
            raise Unreachable(
                f"container {self._container} did not answer a query within {self._timeout:.0f} s"
            ) from problem
        if done.returncode != 0:
            raise StoreError(f"container {self._container} refused a query: {done.stderr.strip()[:500]}")
        return parse(done.stdout)

    def value(self, sql: str, args: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None without one."""
        rows = self.query(sql, args)
        return next(iter(rows[0].values())) if rows else None

    def close(self) -> None:
        """Nothing stays open between queries."""

    def __enter__(self) -> ContainerConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def parse(text: str) -> list[dict[str, Any]]:
    """Rows out of what C(mysql --xml) prints."""
    if not text.strip():
        return []
    return [
        {field.attrib["name"]: None if field.get(_NIL) == "true" else (field.text or "") for field in row}
        for row in ElementTree.fromstring(text).iter("row")
    ]


def _option_file(user: str, password: str) -> str:
    return f"[client]\nuser={_quoted(user)}\npassword={_quoted(password)}\n"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, (int, float)):
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"
