# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A platform's requests as small as they can be: a door that holds them, and clients that write and remember."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pymongo
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import LOCAL


class Requests:
    """Holds requests as the proxy does: those that came before end, later ones wait."""

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        self._lock = threading.Lock()
        self._count = 0
        self._until = 0.0
        self.holds = 0

    def hold(self, seconds: float) -> None:
        self.holds += 1
        self._until = time.monotonic() + seconds
        self._free.clear()

    def drained(self) -> bool:
        return self._count == 0

    def release(self) -> None:
        self._free.set()

    def wait(self) -> None:
        """Wait until it is over, at the latest until it ends by itself."""
        while not self._free.wait(0.01):
            if time.monotonic() > self._until:
                self._free.set()

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """One request, from its arrival at the proxy on."""
        self.wait()
        with self._lock:
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1


class Pause(Requests):
    """Holds single operations of everybody, as dropped packets do."""

    def check(self) -> None:
        """It can be had."""

    def hold(self, hosts: Sequence[str], seconds: float) -> None:  # type: ignore[override]
        super().hold(seconds)


class Door:
    """Implements stores.base.Door as far as MongoDB's driver uses it."""

    def __init__(self) -> None:
        self.serving = LOCAL
        self.pointed: list[str] = []
        self.requests = Requests()
        self.pause = Pause()

    def pointer(self) -> str:
        return self.serving

    def decide(self, end: str) -> None:
        self.serving = end

    def point(self, end: str) -> None:
        self.pointed.append(end)

    def hold(self, seconds: float = 6.0) -> None:
        self.requests.hold(seconds)

    def release(self) -> None:
        self.requests.release()

    def connections(self) -> int:
        return 0

    def drop(self) -> None:
        """Nothing passes through here."""


class FileHold(Requests):
    """The same, kept in a file, so that a driver in a process of its own can hold and die."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def check(self) -> None:
        """It can be had."""

    def hold(self, *given: Any) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(str(time.time() + float(given[-1])))
        temporary.replace(self._path)

    def release(self) -> None:
        self._path.unlink(missing_ok=True)

    def wait(self) -> None:
        while True:
            try:
                until = float(self._path.read_text())
            except FileNotFoundError:
                return
            if time.time() > until:
                return
            time.sleep(0.005)


class FileDoor(Door):
    """A door that outlives the driver."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._file = folder / "pointer"
        if not self._file.exists():
            self._file.write_text(LOCAL)
        self.requests = FileHold(folder / "requests")
        self.pause = FileHold(folder / "packets")  # type: ignore[assignment]

    def pointer(self) -> str:
        return self._file.read_text()

    def decide(self, end: str) -> None:
        self._file.write_text(end)


class Writer:
    """Writes numbered entries until it is stopped: as a web request behind the door, or as a worker, which is not."""

    def __init__(
        self, name: str, options: dict[str, Any], door: Door, web: bool = False, seconds: float = 0.01
    ) -> None:
        self._name = name
        self._options = options
        self._door = door
        self._web = web
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.acknowledged: list[str] = []
        self.failed: list[str] = []
        self.longest = 0.0

    def __enter__(self) -> Writer:
        self._client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(**self._options)
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            key = f"{self._name}-{number}"
            begun = time.monotonic()
            try:
                with self._door.requests.request() if self._web else contextlib.nullcontext():
                    self._door.pause.wait()
                    self._client["openedx"]["entries"].insert_one({"_id": key})
                self.acknowledged.append(key)
            except pymongo.errors.PyMongoError as problem:
                self.failed.append(f"{key}: {problem!r}"[:300])
            self.longest = max(self.longest, time.monotonic() - begun)
            time.sleep(self._seconds)

    def lost(self, options: dict[str, Any]) -> list[str]:
        """The acknowledged entries that a server lacks."""
        with pymongo.MongoClient(**options) as client:
            found = {one["_id"] for one in client["openedx"]["entries"].find({}, {"_id": 1})}
        return [key for key in self.acknowledged if key not in found]
