# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store whose ends and door live in files, so that it outlives the process that flips it.

Run as a program it is what the unit of a stage runs: `stage_world.py FOLDER STAGE`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.cutover import FencedStore
from ansible_collections.tutorops.scale.plugins.module_utils.edge import read_pointer, write_pointer
from ansible_collections.tutorops.scale.plugins.module_utils.paths import Paths, read_json, write_file
from ansible_collections.tutorops.scale.plugins.module_utils.stage import Runner, Signals, slow_motion
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import (
    CLUSTER,
    LOCAL,
    Comparison,
    Finding,
    Session,
    StoreError,
)


class FileEnd:
    """An end; what is true of it stands in a file."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._path = folder / f"{name}.json"

    def state(self) -> dict[str, Any]:
        return read_json(self._path) or {}

    def set(self, **changes: Any) -> None:
        write_file(self._path, json.dumps({**self.state(), **changes}))

    def closed(self) -> bool:
        return bool(self.state()["closed"])

    def close(self, timeout: float) -> None:
        self.set(closed=True)

    def open(self) -> None:
        if self.state().get("broken"):
            raise StoreError(f"the {self.name} end is broken")
        self.set(closed=False)

    def position(self) -> str:
        return "1"

    def reach(self, position: str, timeout: float) -> None:
        pass

    def sessions(self) -> list[Session]:
        return [Session("celery", "10.0.0.9", 0.0, True)] if self.state().get("busy") else []

    def follow(self, other: Any) -> None:
        self.set(follows=other.name)

    def unfollow(self) -> None:
        self.set(follows=None)


class FileDoor:
    """A door; its pointer is a real one."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._state = paths.var / "door.json"

    def state(self) -> dict[str, Any]:
        return read_json(self._state) or {}

    def _set(self, **changes: Any) -> None:
        write_file(self._state, json.dumps({**self.state(), **changes}))

    def pointer(self) -> str:
        return read_pointer(self._paths.pointer("mysql"), "mysql")

    def decide(self, end: str) -> None:
        write_pointer(self._paths.pointer("mysql"), "mysql", end)

    def hold(self, seconds: float = 6.0) -> None:
        self._set(held=True)

    def release(self) -> None:
        self._set(held=False)

    def connections(self) -> int:
        return 0

    def drop(self) -> None:
        pass

    def point(self, end: str) -> None:
        self._set(route=end)


@dataclass
class FileStore(FencedStore):
    """The store and what a test wants it to do."""

    paths: Paths
    name: str = "mysql"
    findings: list[Finding] = field(default_factory=list)
    comparison: Comparison = field(default_factory=lambda: Comparison("1", 3, 30, 300, 0.1))
    not_ready: str = ""

    def __post_init__(self) -> None:
        self.local = FileEnd(LOCAL, self.paths.var)
        self.cluster = FileEnd(CLUSTER, self.paths.var)
        self.door = FileDoor(self.paths)

    def plan(self) -> list[Finding]:
        return self.findings

    def prepare(self, progress: Any) -> dict[str, Any]:
        changed = not self.local.state().get("prepared")
        progress("restart", {})
        self.local.set(prepared=True)
        return {"changed": changed, "stall_seconds": 3.0 if changed else 0.0}

    def restore(self, progress: Any) -> dict[str, Any]:
        changed = bool(self.local.state().get("prepared"))
        self.local.set(prepared=False)
        return {"changed": changed}

    def follow(self, progress: Any) -> dict[str, Any]:
        changed = self.door.pointer() == LOCAL and self.cluster.state().get("follows") != LOCAL
        for done in range(0, 300, 100):
            progress("clone", {"bytes_done": done, "bytes_total": 300})
        if changed:
            self.cluster.set(follows=LOCAL)
        return {"changed": changed, "bytes": 300}

    def compare(self, progress: Any) -> Comparison:
        return self.comparison

    def ready(self) -> None:
        if self.not_ready:
            raise StoreError(self.not_ready)

    def commit(self) -> None:
        self.local.set(committed=True)

    def detach(self) -> bool:
        changed = self.cluster.state().get("follows") is not None
        self.cluster.set(follows=None)
        return changed

    def status(self) -> dict[str, Any]:
        return {"stage": "committed" if self.local.state().get("committed") else "following"}

    def serving(self) -> str:
        """The end that serves; fails unless everything is at rest."""
        serving = self.door.pointer()
        ends = {end.name: end for end in (self.local, self.cluster)}
        standby = next(end for name, end in ends.items() if name != serving)
        assert not ends[serving].closed()
        assert standby.closed()
        assert standby.state()["follows"] == serving
        assert not self.door.state()["held"]
        assert self.door.state()["route"] == serving
        assert not self.paths.flip("mysql").exists()
        return serving


def paths_in(folder: Path) -> Paths:
    return Paths(folder / "etc", folder / "var", folder / "run")


def build(folder: Path, serving: str = LOCAL) -> FileStore:
    """A store at rest."""
    paths = paths_in(folder)
    for path in (paths.etc / "stores", paths.var / "pointers", paths.run):
        path.mkdir(parents=True)
    served = {"port": 3306, "service": "mysql", "service_port": 3306}
    edge = {"address": "10.0.0.10", "compose_project": "tutor_local", "stores": {"mysql": served}}
    paths.edge.write_text(json.dumps(edge), encoding="utf-8")
    paths.settings("mysql").write_text(json.dumps({"limits": {"hold_seconds": 30, "drain_seconds": 0.05}}))
    store = FileStore(paths)
    write_pointer(paths.pointer("mysql"), "mysql", serving)
    for end in (store.local, store.cluster):
        end.set(closed=end.name != serving, follows=None if end.name == serving else serving)
    store.door.release()
    store.door.point(serving)
    return store


def open_file_store(name: str, paths: Paths) -> FileStore:
    return FileStore(paths)


def main(folder: str, stage: str) -> int:
    """Run a stage in this process, and nothing else."""
    signals = Signals()
    signals.install()
    runner = Runner("mysql", paths_in(Path(folder)), open_file_store, signals=signals, slow_motion=slow_motion())
    return 0 if runner.run(stage)["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
