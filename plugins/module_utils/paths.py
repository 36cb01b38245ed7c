# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the runtime keeps its files on the app server, and how it writes them."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Paths:
    """The folders of the runtime; tests put them elsewhere."""

    etc: Path = Path("/etc/tutorops")
    var: Path = Path("/var/lib/tutorops")
    run: Path = Path("/run/tutorops")

    @property
    def edge(self) -> Path:
        """What the edge serves."""
        return self.etc / "edge.json"

    @property
    def configuration(self) -> Path:
        """HAProxy's configuration."""
        return self.etc / "haproxy.cfg"

    @property
    def socket(self) -> Path:
        """HAProxy's admin socket."""
        return self.run / "edge.sock"

    @property
    def server_state(self) -> Path:
        """What the servers were when the follower last looked; HAProxy reads it when it starts."""
        return self.var / "edge.state"

    @property
    def clients(self) -> Path:
        """The networks whose clients the edge serves; an HAProxy ACL file."""
        return self.var / "edge.clients"

    def settings(self, store: str) -> Path:
        """The settings of a store's driver, with secrets."""
        return self.etc / "stores" / f"{store}.json"

    def pointer(self, store: str) -> Path:
        """The pointer: one line that names the end that serves."""
        return self.var / "pointers" / store

    def flip(self, store: str) -> Path:
        """The marker of a flip that is under way."""
        return self.var / store / "flip.json"

    def returned(self, store: str) -> Path:
        """The marker of a deliberate rollback."""
        return self.var / store / "returned.json"

    def lock(self, store: str) -> Path:
        """The lock that every stage of a store takes."""
        return self.run / f"{store}.lock"

    @property
    def requests(self) -> Path:
        """What Caddy had and was given for a hold of requests; there while one is on, or was left."""
        return self.run / "requests.json"

    @property
    def requests_lock(self) -> Path:
        """The lock that a hold of requests takes."""
        return self.run / "requests.lock"

    def request(self, store: str, stage: str) -> Path:
        """What the controller asks of the next run of a stage."""
        return self.run / f"{store}.{stage}.request.json"

    def progress(self, store: str, stage: str) -> Path:
        """Progress and result of a stage."""
        return self.run / f"{store}.{stage}.json"


#: Where a production app server keeps them.
PATHS = Paths()


def write_file(path: Path, text: str, mode: int = 0o600, durable: bool = False) -> None:
    """Replace a file in one step. ``durable``: it is on the disk, under its name, when this returns."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    if durable:
        sync_directory(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file for good; harmless when it is not there."""
    path.unlink(missing_ok=True)
    if path.parent.exists():
        sync_directory(path.parent)


def sync_file(path: Path) -> None:
    """Put a file that exists, and its name, on the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Put a folder's names on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path) -> dict[str, Any] | None:
    """The mapping in a JSON file, or None when there is no file; ValueError when it holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no mapping")
    return content
