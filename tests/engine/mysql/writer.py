# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A platform's writes: one new connection each, as Django's, and a list of what was acknowledged."""

from __future__ import annotations

import threading
import time

from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import Connection
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError


class Writer:
    """Writes numbered entries through a port of this host until it is stopped."""

    def __init__(self, port: int, pause: float = 0.01) -> None:
        self._port = port
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.acknowledged: list[int] = []
        self.failed: list[str] = []
        self.longest = 0.0
        self._number = 0

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._number += 1
            begun = time.monotonic()
            try:
                with Connection(
                    host="127.0.0.1", port=self._port, user="openedx", password="app", timeout=15
                ) as connection:
                    connection.execute("INSERT INTO openedx.entries (number) VALUES (%s)", (self._number,))
                self.acknowledged.append(self._number)
            except StoreError as problem:
                self.failed.append(str(problem))
            self.longest = max(self.longest, time.monotonic() - begun)
            time.sleep(self._pause)

    def audit(self, connection: Connection) -> tuple[list[int], list[int]]:
        """The acknowledged entries that are missing, and those that are there more than once."""
        found: dict[int, int] = {}
        for row in connection.query("SELECT number, COUNT(*) AS times FROM openedx.entries GROUP BY number"):
            found[row["number"]] = row["times"]
        lost = [number for number in self.acknowledged if number not in found]
        return lost, [number for number, times in found.items() if times > 1]
