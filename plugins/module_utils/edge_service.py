# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services around the edge: ready to start, ready to reload, up to date, in order."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .edge import Edge, EdgeError, EdgeSettings, read_pointer
from .flip_marker import FlipMarker
from .follower import forget_members
from .paths import Paths, write_file
from .stores.base import LOCAL, StoreError

EDGE = "tutorops-edge.service"
FOLLOWER = "tutorops-follower.service"
#: Finishes interrupted flips at each boot; at other times nobody starts it but a stage that failed.
RECOVERY = "tutorops-recover.service"
#: The installed runtime; a link to the release that is in use.
RUNTIME = Path("/usr/local/lib/tutorops/tutorops_scale")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass
class EdgeService:
    """HAProxy and the follower as units of this host."""

    paths: Paths
    runtime: Path = RUNTIME
    run: Run = subprocess.run
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep
    today: Callable[[], float] = time.time

    def prepare_start(self) -> None:
        """Before HAProxy starts: let no member of a cluster count as up before its first check."""
        state = self.paths.server_state
        text = state.read_text(encoding="utf-8") if state.exists() else ""
        # The first line of a state is the version of its form.
        write_file(state, forget_members(text.strip() or "1"), mode=0o644)

    def prepare_reload(self, seconds: float) -> None:
        """Before HAProxy reloads: wait until no flip is under way, because a new process knows nothing of a hold."""
        ends = self.clock() + seconds
        while busy := [name for name in EdgeSettings.load(self.paths).stores if self._flips(name)]:
            if self.clock() >= ends:
                raise StoreError(f"a flip of store {busy[0]} is under way: reload the edge when it has ended")
            self.wait(0.1)
        with contextlib.suppress(EdgeError):
            # What this process knows of the servers is where the next one begins.
            write_file(self.paths.server_state, self._edge().state(), mode=0o644)

    def apply(self, seconds: float = 30.0, check: bool = False) -> list[str]:
        """Have the services run now and after a boot, with what is on the disk; return what was done, or would be.

        It compares times instead of being told, so that a run that was interrupted is made up for by the next one.
        """
        done = self._settle(check)
        if check and done:
            return done
        before = self._edge().process()
        # Certificates are read when HAProxy starts, too.
        read = [self.paths.configuration, *(self.paths.etc / "tls").glob("*.crt")]
        if self._edge().started(self.today()) < max(map(_written, read)):
            if not check:
                self._systemctl("reload", EDGE)
                late = f"{EDGE} did not come back after its reload"
                self._await(lambda: self._edge().process() != before, seconds, late)
            done.append(f"reloaded {EDGE}")
        read = [self.paths.edge, self.runtime, *(self.paths.etc / "stores").glob("*.json")]
        if self._unit_started(FOLLOWER) < max(map(_written, read)):
            if not check:
                self._systemctl("restart", FOLLOWER)
            done.append(f"restarted {FOLLOWER}")
        return done

    def _settle(self, check: bool) -> list[str]:
        """Start the services that do not run, and have them start at boot."""
        names = "Id,ActiveState,UnitFileState,NeedDaemonReload"
        shown = self._systemctl("show", f"--property={names}", EDGE, FOLLOWER, RECOVERY)
        blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.split("\n\n")]
        units = {block["Id"]: block for block in blocks}
        if not check and any(unit["NeedDaemonReload"] == "yes" for unit in units.values()):
            self._systemctl("daemon-reload")
        steps = [("enable", name) for name, unit in units.items() if unit["UnitFileState"] != "enabled"]
        # The follower after the edge, in the order that they were asked about.
        steps += [("start", name) for name in (EDGE, FOLLOWER) if units[name]["ActiveState"] != "active"]
        for verb, name in steps if not check else ():
            self._systemctl(verb, name)
        return [f"{verb.removesuffix('e')}ed {name}" for verb, name in steps]

    def check(self, seconds: float) -> None:
        """Raise StoreError with the first thing that is not in order and does not get so in time."""
        ends = self.clock() + seconds
        while problem := next(self._problems(), None):
            if self.clock() >= ends:
                raise StoreError(problem)
            self.wait(0.2)

    def _problems(self) -> Iterator[str]:
        edge = self._edge()
        try:
            for name, served in EdgeSettings.load(self.paths).stores.items():
                pointer = read_pointer(self.paths.pointer(name), name)
                if not edge.map_holds(self.paths.pointer(name), name, pointer):
                    yield f"the edge does not send store {name} to its {pointer} end, which serves: restart {EDGE}"
                if edge.held(name) and not self._flips(name):
                    yield f"new connections of store {name} are held although no flip is under way: restart {FOLLOWER}"
                ready = [one for one in edge.servers(f"{name}_{pointer}") if one.usable]
                if not ready:
                    what = (
                        f"no container of service {served.service} runs" if pointer == LOCAL else "no member is primary"
                    )
                    yield f"the {pointer} end of store {name}, which serves, takes no connections: {what}, or is closed"
        except EdgeError as problem:
            yield str(problem)
        if self.run(["systemctl", "is-active", "--quiet", FOLLOWER], check=False).returncode != 0:
            yield (
                f"{FOLLOWER} does not run, so the edge would lose a container that is made anew: see "
                "`journalctl -u tutorops-follower`"
            )

    def _flips(self, store: str) -> bool:
        marker = FlipMarker.read(self.paths.flip(store))
        return marker is not None and marker.alive()

    def _edge(self) -> Edge:
        return Edge(self.paths.socket)

    def _await(self, reached: Callable[[], bool], seconds: float, otherwise: str) -> None:
        ends = self.clock() + seconds
        while True:
            with contextlib.suppress(EdgeError):
                if reached():
                    return
            if self.clock() >= ends:
                raise StoreError(f"{otherwise} within {seconds:.0f} s: see its journal on the app server")
            self.wait(0.1)

    def _unit_started(self, unit: str) -> float:
        shown = self._systemctl("show", "--timestamp=unix", "--property=ExecMainStartTimestamp", "--value", unit)
        return float(shown.strip().lstrip("@") or 0)

    def _systemctl(self, *words: str) -> str:
        done = self.run(["systemctl", *words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StoreError(f"`systemctl {words[0]} {words[-1]}` failed on the app server: {done.stderr.strip()}")
        return done.stdout


def _written(path: Path) -> float:
    """When a file or a link was written; long ago when it is not there."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0
