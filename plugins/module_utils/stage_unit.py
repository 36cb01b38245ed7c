# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd unit that runs one stage of one store: started, joined, watched.

Whoever watches may go away at any time; the unit does not notice. What it does stands in its record, a file that
stage.py writes; systemd tells what the record cannot: that the process died before it could write.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from .flip_marker import process_started
from .paths import PATHS, Paths, read_json, remove_file, write_file
from .stores.base import StoreError

STAGES = ("plan", "prepare", "follow", "compare", "cutover", "rollback", "commit", "detach", "restore", "status")
#: These change nothing, so they may run beside another stage.
READING = ("plan", "status")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class StageUnit:
    """One stage of one store on this app server. Every call comes back within seconds, or raises StoreError."""

    def __init__(
        self,
        store: str,
        stage: str,
        paths: Paths = PATHS,
        run: Run = subprocess.run,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = f"tutorops-stage@{store}:{stage}.service"
        self._store = store
        self._stage = stage
        self._record = paths.progress(store, stage)
        self._request = paths.request(store, stage)
        self._run = run
        self._clock = clock
        self._wait = wait

    def installed(self) -> bool:
        """Whether this host can run stages at all."""
        return self._state()["LoadState"] == "loaded"

    def start(self, request: Mapping[str, Any]) -> bool:
        """Start the unit, or join it where it runs already; return whether it was joined."""
        state = self._state()
        if state["LoadState"] != "loaded":
            raise StoreError(
                f"stage {self._stage} of store {self._store} cannot run: this host has no unit tutorops-stage@; run "
                "offload.yml, which sets up the edge on the app server"
            )
        if state["ActiveState"] in ("active", "activating"):
            return True
        # A record that is there from now on is that of the run which begins here.
        remove_file(self._record)
        self._request.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_file(self._request, json.dumps(dict(request)) + "\n")
        self._systemctl("start", "--no-block", self.name)
        return False

    def watch(self, seconds: float) -> dict[str, Any]:
        """What the record says as soon as the stage has ended, or after some seconds as far as it has come."""
        ends = self._clock() + seconds
        while True:
            record = self._look()
            if record.get("ended") or self._clock() >= ends:
                return record
            self._wait(0.1)

    def _look(self) -> dict[str, Any]:
        record = self._read()
        if record and not record.get("ended") and owner_lives(record):
            return record
        state = self._state()
        if state["ActiveState"] not in ("inactive", "failed") or state["Job"] not in ("", "0"):
            # An earlier run's record may still stand while a unit starts; and after a crash recovery is not done yet.
            current = record.get("invocation") == state["InvocationID"]
            return record if record.get("ended") and current else {**record, "ended": None}
        # It may have ended between the first look and systemd's answer.
        record = self._read()
        return record if record.get("ended") else self._died(record, state)

    def _died(self, record: dict[str, Any], state: Mapping[str, str]) -> dict[str, Any]:
        last = self._journal(state["InvocationID"])
        told = f"; its journal ends with: {last}" if last else ""
        error = (
            f"stage {self._stage} of store {self._store} ended without a result on the app server "
            f"({state['Result'] or 'unknown reason'}){told}; run the same playbook again"
        )
        return {**record, "ok": False, "error": error, "ended": datetime.now(timezone.utc).isoformat()}

    def _read(self) -> dict[str, Any]:
        try:
            return read_json(self._record) or {}
        except ValueError:
            return {}

    def _state(self) -> dict[str, str]:
        names = ("LoadState", "ActiveState", "Result", "InvocationID", "Job")
        text = self._systemctl("show", "--property", ",".join(names), self.name)
        found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return {name: found.get(name, "") for name in names}

    def _journal(self, invocation: str) -> str:
        """The last lines that the unit wrote, for a reason; what stages write holds no secret."""
        which = [f"_SYSTEMD_INVOCATION_ID={invocation}"] if invocation else ["--unit", self.name]
        text = self._call(
            ["journalctl", "--quiet", "--no-pager", "--output", "cat", "--lines", "3", *which], check=False
        )
        return " | ".join(line.strip() for line in text.splitlines() if line.strip())[:500]

    def _systemctl(self, *words: str) -> str:
        return self._call(["systemctl", *words])

    def _call(self, command: list[str], check: bool = True) -> str:
        try:
            done = self._run(command, capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise StoreError(f"{command[0]} does not answer on the app server: {problem}") from problem
        if check and done.returncode != 0:
            reason = done.stderr.strip().partition("\n")[0]
            raise StoreError(f"`{' '.join(command[:2])}` of {self.name} failed on the app server: {reason}")
        return done.stdout


def owner_lives(record: Mapping[str, Any]) -> bool:
    """Whether the process that writes a record runs."""
    pid = int(record.get("pid") or 0)
    started = process_started(pid) if pid > 0 else None
    return not record.get("ended") and started is not None and started == record.get("process_started")


def would_change(stage: str, standing: Mapping[str, Any]) -> bool:
    """Whether a stage would change anything, as far as what `tutorops status` says about the store tells."""
    reached = standing.get("stage")
    if stage == "prepare":
        return not standing.get("prepared", True)
    if stage == "restore":
        return bool(standing.get("prepared", False))
    if stage == "follow":
        return reached not in ("following", "cutover", "committed")
    if stage == "cutover":
        return standing.get("pointer") != "cluster"
    if stage == "rollback":
        return standing.get("pointer") == "cluster"
    if stage == "commit":
        return reached != "committed"
    return stage == "detach"
