# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A unit that is started, joined and watched, with a systemd of the test."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.flip_marker import process_started
from ansible_collections.tutorops.scale.plugins.module_utils.paths import Paths, write_file
from ansible_collections.tutorops.scale.plugins.module_utils.stage_unit import StageUnit, would_change
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError


class Systemd:
    """One unit, as systemctl and journalctl tell of it."""

    def __init__(self) -> None:
        self.loaded = True
        self.active = "inactive"
        self.result = "success"
        self.invocation = ""
        self.job = ""
        self.journal = ""
        self.calls: list[str] = []
        self.on_start: Callable[[], None] = lambda: None

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert options["timeout"] > 0
        self.calls.append(" ".join(command))
        text = self.journal if command[0] == "journalctl" else ""
        if command[1] == "show":
            text = (
                f"LoadState={'loaded' if self.loaded else 'not-found'}\nActiveState={self.active}\n"
                f"Result={self.result}\nInvocationID={self.invocation}\n" + (f"Job={self.job}\n" if self.job else "")
            )
        elif command[1] == "start":
            self.active, self.invocation = "activating", "new"
            self.on_start()
        return subprocess.CompletedProcess(command, 0, text, "")


class World:
    """A unit, its record, and time that passes when somebody waits."""

    def __init__(self, folder: Path) -> None:
        self.paths = Paths(folder / "etc", folder / "var", folder / "run")
        self.paths.run.mkdir()
        self.systemd = Systemd()
        self.now = 0.0
        self.later: list[Callable[[], None]] = []
        self.unit = StageUnit("mysql", "cutover", self.paths, self.systemd, lambda: self.now, self.wait)
        self.record = self.paths.progress("mysql", "cutover")

    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.later:
            self.later.pop(0)()

    def tell(self, **content: Any) -> None:
        """Write a record, by default that of a stage whose process lives."""
        pid = os.getpid()
        alive = {"pid": pid, "process_started": process_started(pid), "invocation": "new", "ended": None}
        write_file(self.record, json.dumps({**alive, **content}))

    def end(self, active: str = "inactive", **content: Any) -> None:
        self.tell(ended="later", **content)
        self.systemd.active = active


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class TestStart:
    def test_the_request_is_there_before_the_unit_starts(self, world: World) -> None:
        request = world.paths.request("mysql", "cutover")
        seen: list[Any] = []
        world.systemd.on_start = lambda: seen.append((json.loads(request.read_text()), request.stat().st_mode & 0o777))
        assert world.unit.start({"again": True}) is False
        assert seen == [({"again": True}, 0o600)]
        assert "systemctl start --no-block tutorops-stage@mysql:cutover.service" in world.systemd.calls

    def test_an_earlier_result_is_no_result(self, world: World) -> None:
        world.tell(ended="yesterday", ok=True)
        world.systemd.on_start = lambda: world.later.append(lambda: world.end(ok=False, error="no"))
        world.unit.start({})
        assert world.unit.watch(5.0)["error"] == "no"

    @pytest.mark.parametrize("active", ["activating", "active"])
    def test_one_that_runs_is_joined(self, world: World, active: str) -> None:
        world.systemd.active = active
        world.tell(progress={"phase": "drain"})
        assert world.unit.start({"again": True}) is True
        assert not world.paths.request("mysql", "cutover").exists()
        assert world.record.exists()
        assert not [call for call in world.systemd.calls if " start " in call]

    def test_one_that_only_cleans_up_is_started_again(self, world: World) -> None:
        world.systemd.active = "deactivating"
        assert world.unit.start({}) is False

    def test_a_host_without_the_unit(self, world: World) -> None:
        world.systemd.loaded = False
        with pytest.raises(StoreError, match="has no unit tutorops-stage@; run offload.yml"):
            world.unit.start({})
        assert not world.unit.installed()

    def test_a_systemd_that_hangs(self, tmp_path: Path) -> None:
        def hang(command: list[str], **options: Any) -> Any:
            raise subprocess.TimeoutExpired(command, 30)

        with pytest.raises(StoreError, match="systemctl does not answer on the app server"):
            StageUnit("mysql", "cutover", Paths(run=tmp_path), hang).start({})


class TestWatch:
    def test_it_comes_back_as_soon_as_the_stage_has_ended(self, world: World) -> None:
        world.systemd.active = "activating"
        world.tell()
        world.later = [lambda: None, lambda: world.end(ok=True, result={"serving": "cluster"})]
        assert world.unit.watch(60.0)["result"] == {"serving": "cluster"}
        assert world.now == pytest.approx(0.2)

    def test_it_comes_back_with_how_far_it_is(self, world: World) -> None:
        world.systemd.active = "activating"
        world.tell(progress={"phase": "drain"})
        record = world.unit.watch(3.0)
        assert (record["progress"], record["ended"]) == ({"phase": "drain"}, None)
        assert world.now == pytest.approx(3.0, abs=0.2)

    def test_while_the_process_lives_systemd_is_not_asked(self, world: World) -> None:
        world.tell()
        world.unit.watch(3.0)
        assert world.systemd.calls == []

    def test_a_queued_start_is_waited_for(self, world: World) -> None:
        world.systemd.job = "77"
        assert not world.unit.watch(1.0).get("ended")

    def test_an_old_record_beside_a_unit_that_starts_is_not_its_end(self, world: World) -> None:
        world.systemd.active, world.systemd.invocation = "activating", "new"
        world.tell(ended="yesterday", ok=True, invocation="old")
        assert world.unit.watch(1.0)["ended"] is None

    def test_a_result_counts_although_recovery_still_looks(self, world: World) -> None:
        world.systemd.active, world.systemd.invocation = "deactivating", "new"
        world.tell(ended="now", ok=True)
        assert world.unit.watch(1.0)["ended"] == "now"

    def test_after_a_crash_recovery_is_waited_for(self, world: World) -> None:
        world.systemd.active, world.systemd.invocation = "deactivating", "new"
        world.tell(pid=2**30)
        world.later = [lambda: world.end("failed", ok=False, error="died; the flip was settled")]
        assert world.unit.watch(5.0)["error"] == "died; the flip was settled"

    @pytest.mark.parametrize("record", [None, {"pid": 2**30, "progress": {"phase": "clone"}}])
    def test_one_that_left_no_result_is_explained_from_its_journal(
        self, world: World, record: dict[str, Any] | None
    ) -> None:
        if record is not None:
            world.tell(**record)
        world.systemd.active, world.systemd.result, world.systemd.invocation = "failed", "exit-code", "new"
        world.systemd.journal = "Traceback\n\nModuleNotFoundError: No module named 'pymysql'\n"
        found = world.unit.watch(5.0)
        assert found["ok"] is False and found["ended"]
        assert "(exit-code); its journal ends with: Traceback | ModuleNotFoundError" in found["error"]
        assert found["error"].endswith("run the same playbook again")
        assert "_SYSTEMD_INVOCATION_ID=new" in world.systemd.calls[-1]

    def test_a_record_that_is_half_there_is_none(self, world: World) -> None:
        world.record.write_text('{"ended":')
        world.systemd.active = "activating"
        assert not world.unit.watch(0.0).get("ended")


@pytest.mark.parametrize(
    ("stage", "standing", "changes"),
    [
        ("follow", {}, True),
        ("follow", {"stage": "attached"}, True),
        ("follow", {"stage": "following"}, False),
        ("prepare", {}, False),
        ("prepare", {"prepared": True}, False),
        ("prepare", {"prepared": False}, True),
        ("restore", {}, False),
        ("restore", {"prepared": True}, True),
        ("cutover", {}, True),
        ("cutover", {"pointer": "local", "stage": "following"}, True),
        ("cutover", {"pointer": "cluster", "stage": "cutover"}, False),
        ("rollback", {}, False),
        ("rollback", {"pointer": "local"}, False),
        ("rollback", {"pointer": "cluster"}, True),
        ("commit", {"stage": "cutover"}, True),
        ("commit", {"stage": "committed"}, False),
        ("detach", {}, True),
        ("plan", {}, False),
        ("compare", {}, False),
        ("status", {}, False),
    ],
)
def test_what_a_stage_would_change(stage: str, standing: dict[str, Any], changes: bool) -> None:
    assert would_change(stage, standing) is changes
