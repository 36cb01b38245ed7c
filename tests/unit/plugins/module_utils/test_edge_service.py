# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services the edge starts, reloads and restarts, and which it leaves alone; tests/engine/edge has a real one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import edge_service
from ansible_collections.tutorops.scale.plugins.module_utils.edge_service import EDGE, FOLLOWER, RECOVERY, EdgeService
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError

STARTED = 2_000_000_000.0


class Systemd:
    """Units that a test has made up."""

    def __init__(self) -> None:
        self.states = {
            name: {"Id": name, "ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no"}
            for name in (EDGE, FOLLOWER, RECOVERY)
        }
        self.states[RECOVERY]["ActiveState"] = "inactive"
        self.did: list[str] = []

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        verb, *words = command[1:]
        told, code = "", 0
        if verb == "show" and "--value" in words:
            told = f"@{STARTED:.0f}\n"
        elif verb == "show":
            blocks = ["".join(f"{key}={value}\n" for key, value in self.states[name].items()) for name in words[1:]]
            told = "\n".join(blocks)
        elif verb == "is-active":
            code = 0 if self.states[words[-1]]["ActiveState"] == "active" else 3
        else:
            self.did.append(" ".join([verb, *words]))
            if verb == "start":
                self.states[words[0]]["ActiveState"] = "active"
            elif verb == "enable":
                self.states[words[0]]["UnitFileState"] = "enabled"
            elif verb == "daemon-reload":
                for state in self.states.values():
                    state["NeedDaemonReload"] = "no"
        return subprocess.CompletedProcess(command, code, told, "")


@pytest.fixture
def systemd() -> Systemd:
    return Systemd()


@pytest.fixture
def service(systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EdgeService:
    paths = SimpleNamespace(etc=tmp_path, edge=tmp_path / "edge.json", configuration=tmp_path / "haproxy.cfg")
    processes = iter(range(100))
    edge = SimpleNamespace(process=lambda: next(processes), started=lambda today: STARTED)
    monkeypatch.setattr(edge_service.EdgeService, "_edge", lambda self: edge)
    return EdgeService(paths, runtime=tmp_path / "runtime", run=systemd)  # type: ignore[arg-type]


def write(path: Path, seconds: float) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    os.utime(path, (STARTED + seconds, STARTED + seconds))


def test_what_runs_with_what_is_on_the_disk_is_left_alone(
    service: EdgeService, systemd: Systemd, tmp_path: Path
) -> None:
    for name in ("edge.json", "haproxy.cfg", "runtime", "stores/mysql.json"):
        write(tmp_path / name, -1)
    assert (service.apply(), systemd.did) == ([], [])


@pytest.mark.parametrize(
    ("unit", "change", "verb"),
    [
        (EDGE, {"ActiveState": "failed"}, "start"),
        (FOLLOWER, {"ActiveState": "inactive"}, "start"),
        (FOLLOWER, {"UnitFileState": "disabled"}, "enable"),
        (RECOVERY, {"UnitFileState": "disabled"}, "enable"),
    ],
)
def test_services_run_now_and_after_a_boot(
    service: EdgeService, systemd: Systemd, unit: str, change: dict[str, str], verb: str
) -> None:
    systemd.states[unit] |= change
    said = [f"{'started' if verb == 'start' else 'enabled'} {unit}"]
    assert (service.apply(check=True), systemd.did) == (said, [])
    assert service.apply() == said
    assert (service.apply(), systemd.did) == ([], [f"{verb} {unit}"])


def test_a_new_host(service: EdgeService, systemd: Systemd) -> None:
    for state in systemd.states.values():
        state |= {"ActiveState": "inactive", "UnitFileState": "disabled"}
    service.apply()
    assert systemd.did == [
        *(f"enable {unit}" for unit in (EDGE, FOLLOWER, RECOVERY)),
        *(f"start {unit}" for unit in (EDGE, FOLLOWER)),
    ]


def test_a_changed_unit_is_read_before_anything_is_started(service: EdgeService, systemd: Systemd) -> None:
    systemd.states[FOLLOWER] |= {"NeedDaemonReload": "yes", "ActiveState": "inactive"}
    service.apply(check=True)
    assert systemd.did == []
    service.apply()
    assert systemd.did == ["daemon-reload", f"start {FOLLOWER}"]


@pytest.mark.parametrize(
    ("name", "did"),
    [
        ("haproxy.cfg", f"reload {EDGE}"),
        ("tls/redis-source.crt", f"reload {EDGE}"),
        ("edge.json", f"restart {FOLLOWER}"),
        ("runtime", f"restart {FOLLOWER}"),
        ("stores/mysql.json", f"restart {FOLLOWER}"),
    ],
)
def test_what_was_written_since_is_taken_over(
    service: EdgeService, systemd: Systemd, tmp_path: Path, name: str, did: str
) -> None:
    write(tmp_path / name, 1)
    said = [did.replace("reload ", "reloaded ").replace("restart ", "restarted ")]
    assert (service.apply(check=True), systemd.did) == (said, [])
    assert (service.apply(), systemd.did) == (said, [did])


def test_an_edge_without_its_follower_is_not_in_order(
    service: EdgeService, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_service.EdgeSettings, "load", lambda paths: SimpleNamespace(stores={}))
    service.check(0)
    systemd.states[FOLLOWER]["ActiveState"] = "failed"
    with pytest.raises(StoreError, match="tutorops-follower.service does not run"):
        service.check(0)
