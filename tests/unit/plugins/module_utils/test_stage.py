# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of stages: what its file says, what it survives, and what recovery makes of what it left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.flip_marker import FlipMarker
from ansible_collections.tutorops.scale.plugins.module_utils.paths import read_json
from ansible_collections.tutorops.scale.plugins.module_utils.stage import (
    SLOW_MOTION,
    Options,
    Record,
    Runner,
    Signals,
    Stopped,
    limits_of,
)
from ansible_collections.tutorops.scale.plugins.module_utils.store_lock import locked
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import (
    CLUSTER,
    LOCAL,
    Comparison,
    Difference,
    Finding,
    StoreError,
)
from stage_world import FileStore, build

STEPS = ("hold", "drain", "fence", "apply", "decide", "open", "way back", "done")
#: The first step that begins when the pointer has moved.
MOVED = STEPS.index("open")


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return build(tmp_path)


def runner(store: FileStore) -> Runner:
    return Runner("mysql", store.paths, lambda name, paths: store, wait=lambda seconds: None)


def told(store: FileStore, stage: str) -> dict[str, Any]:
    found = read_json(store.paths.progress("mysql", stage))
    assert found is not None
    return found


def eventually(check: Callable[[], object], seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < ends, "it did not come true in time"
        time.sleep(0.005)


def start(store: FileStore, stage: str, slow: float = 0.0) -> subprocess.Popen[bytes]:
    """Run a stage in a process of its own, as its unit does."""
    program = Path(__file__).with_name("stage_world.py")
    search = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": search, SLOW_MOTION: str(slow)}
    command = [sys.executable, str(program), str(store.paths.etc.parent), stage]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def reached(store: FileStore, stage: str, step: str) -> bool:
    found = read_json(store.paths.progress("mysql", stage)) or {}
    return any(each["step"] == step for each in found.get("steps", []))


class TestStages:
    def test_plan_tells_findings_and_whether_they_block(self, store: FileStore) -> None:
        store.findings = [Finding("mysql.size", "info", "mysql", "1 GB"), Finding("mysql.pk", "blocker", "t", "no key")]
        outcome = runner(store).run("plan", Options())
        assert outcome["ok"] and not outcome["changed"]
        assert outcome["result"]["blocked"]
        assert [each["id"] for each in outcome["result"]["findings"]] == ["mysql.size", "mysql.pk"]

    def test_prepare_changes_something_once_and_tells_the_stall(self, store: FileStore) -> None:
        first = runner(store).run("prepare", Options())
        assert first["ok"] and first["changed"] and first["result"]["stall_seconds"] == 3.0
        again = runner(store).run("prepare", Options())
        assert again["ok"] and not again["changed"]
        assert told(store, "prepare")["progress"]["phase"] == "restart"

    def test_follow_changes_something_once(self, store: FileStore) -> None:
        store.cluster.set(follows=None)
        assert runner(store).run("follow", Options())["changed"]
        again = runner(store).run("follow", Options())
        assert again["ok"] and not again["changed"]
        assert told(store, "follow")["progress"]["phase"] == "clone"

    def test_compare_keeps_what_it_found(self, store: FileStore) -> None:
        outcome = runner(store).run("compare", Options())
        assert outcome["ok"] and outcome["result"]["equal"]
        kept = read_json(store.paths.var / "mysql" / "compare.json")
        assert kept == outcome["result"]

    def test_a_difference_fails(self, store: FileStore) -> None:
        store.comparison = Comparison("1", 3, 30, 300, 0.1, [Difference("openedx.auth_user", "31 rows against 30")])
        outcome = runner(store).run("compare", Options())
        assert not outcome["ok"]
        assert "openedx.auth_user: 31 rows against 30" in outcome["error"]

    def test_cutover_moves_the_work_and_the_second_one_changes_nothing(self, store: FileStore) -> None:
        first = runner(store).run("cutover", Options())
        assert first["ok"] and first["changed"]
        assert store.serving() == CLUSTER
        second = runner(store).run("cutover", Options())
        assert second["ok"] and not second["changed"]
        assert second["result"]["flip"]["hold_seconds"] == first["result"]["flip"]["hold_seconds"]

    def test_a_rollback_is_remembered_until_told_to_go_on(self, store: FileStore) -> None:
        assert runner(store).run("cutover", Options())["ok"]
        assert runner(store).run("rollback", Options())["ok"]
        assert store.serving() == LOCAL
        refused = runner(store).run("cutover", Options())
        assert not refused["ok"]
        assert "rolled back on purpose" in refused["error"] and "offload_again=true" in refused["error"]
        assert runner(store).run("cutover", Options(again=True))["ok"]
        assert not store.paths.returned("mysql").exists()

    def test_work_in_flight_postpones_and_changes_nothing(self, store: FileStore) -> None:
        store.local.set(busy=True)
        outcome = runner(store).run("cutover", Options(attempts=3))
        assert outcome["postponed"] and not outcome["ok"] and not outcome["changed"]
        assert "celery" in outcome["error"]
        assert store.serving() == LOCAL

    def test_a_postponed_flip_is_tried_again(self, store: FileStore) -> None:
        store.local.set(busy=True)
        tries = Runner(
            "mysql", store.paths, lambda name, paths: store, wait=lambda seconds: store.local.set(busy=False)
        )
        outcome = tries.run("cutover", Options(attempts=2))
        assert outcome["ok"] and outcome["result"]["attempts"] == 2

    def test_a_store_that_is_not_ready_is_left_alone(self, store: FileStore) -> None:
        store.not_ready = "the cluster lags 40 s behind: wait"
        outcome = runner(store).run("cutover", Options())
        assert outcome["error"] == store.not_ready
        assert store.serving() == LOCAL

    def test_commit_wants_the_cluster_to_serve(self, store: FileStore) -> None:
        assert "nothing to commit before the cutover" in runner(store).run("commit", Options())["error"]
        assert runner(store).run("cutover", Options())["ok"]
        assert runner(store).run("commit", Options())["changed"]
        assert not runner(store).run("commit", Options())["changed"]

    def test_detach_wants_the_local_end_to_serve(self, store: FileStore) -> None:
        assert runner(store).run("detach", Options())["changed"]
        assert not runner(store).run("detach", Options())["changed"]
        assert runner(store).run("cutover", Options())["ok"]
        assert "run rollback.yml first" in runner(store).run("detach", Options())["error"]

    def test_restore_wants_the_local_end_to_serve(self, store: FileStore) -> None:
        assert runner(store).run("prepare", Options())["changed"]
        assert runner(store).run("restore", Options())["changed"]
        assert not runner(store).run("restore", Options())["changed"]
        assert runner(store).run("cutover", Options())["ok"]
        assert "cannot be as it was found" in runner(store).run("restore", Options())["error"]

    def test_what_nobody_expected_is_a_sentence_too(self, store: FileStore) -> None:
        store.status = lambda: {}["gone"]  # type: ignore[method-assign]
        outcome = runner(store).run("status", Options())
        assert "KeyError" in outcome["error"] and "tutorops-stage@mysql:status" in outcome["error"]

    def test_the_way_back_that_does_not_follow_is_told(self, store: FileStore) -> None:
        def refuse(other: object) -> None:
            raise StoreError("no replication user")

        store.local.follow = refuse  # type: ignore[method-assign]
        outcome = runner(store).run("cutover", Options())
        assert outcome["changed"] and not outcome["ok"]
        assert "no replication user" in outcome["error"]
        # The next run settles what this one left.
        del store.local.follow  # type: ignore[method-assign]
        assert runner(store).run("cutover", Options())["ok"]
        assert store.serving() == CLUSTER


class TestFile:
    def test_it_names_the_run(self, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("INVOCATION_ID", "abc")
        runner(store).run("status", Options())
        found = told(store, "status")
        assert (found["invocation"], found["pid"], found["ok"]) == ("abc", os.getpid(), True)
        assert found["started"] <= found["ended"]

    def test_it_can_be_read_by_root_alone(self, store: FileStore) -> None:
        runner(store).run("status", Options())
        assert store.paths.progress("mysql", "status").stat().st_mode & 0o777 == 0o600

    def test_progress_is_written_five_times_a_second_at_most(self, tmp_path: Path) -> None:
        seconds = [0.0]
        record = Record(tmp_path / "record", "mysql", "follow", clock=lambda: seconds[0])
        written = 0
        for _ in range(100):
            seconds[0] += 0.01
            before = (tmp_path / "record").stat().st_ino
            record.progress("clone", {"bytes_done": seconds[0]})
            written += (tmp_path / "record").stat().st_ino != before
        assert 4 <= written <= 6

    def test_a_new_phase_is_told_at_once(self, tmp_path: Path) -> None:
        record = Record(tmp_path / "record", "mysql", "follow", clock=lambda: 0.0)
        for phase in ("one", "two"):
            record.progress(phase, {})
            assert json.loads((tmp_path / "record").read_text())["progress"] == {"phase": phase}

    def test_a_second_run_of_a_stage_leaves_the_file_of_the_first_alone(self, store: FileStore) -> None:
        first = start(store, "cutover", slow=30.0)
        eventually(lambda: reached(store, "cutover", "hold"))
        try:
            outcome = runner(store).run("cutover", Options())
            assert not outcome["ok"] and f"pid {first.pid}" in outcome["error"]
            assert told(store, "cutover")["pid"] == first.pid
            assert told(store, "cutover")["ended"] is None
        finally:
            first.kill()
            first.wait()


class TestLock:
    def test_another_stage_names_the_one_that_runs(self, store: FileStore) -> None:
        first = start(store, "cutover", slow=30.0)
        eventually(lambda: reached(store, "cutover", "hold"))
        try:
            path = store.paths.lock("mysql")
            with pytest.raises(StoreError) as caught, locked(path, "tutorops stage mysql follow", 0.3):
                pass
            assert f"'tutorops stage mysql cutover' (pid {first.pid}) runs on the app server" in str(caught.value)
            assert "'tutorops stage mysql follow' cannot: wait for its end" in str(caught.value)
        finally:
            first.kill()
            first.wait()

    def test_it_ends_with_its_process(self, store: FileStore) -> None:
        first = start(store, "cutover", slow=30.0)
        eventually(lambda: reached(store, "cutover", "hold"))
        first.kill()
        first.wait()
        with locked(store.paths.lock("mysql"), "next", 0.0):
            assert "next" in store.paths.lock("mysql").read_text()

    def test_reading_stages_do_not_wait_for_it(self, store: FileStore) -> None:
        with locked(store.paths.lock("mysql"), "a long copy", 0.0):
            assert runner(store).run("status", Options())["ok"]


class TestKilled:
    @pytest.mark.parametrize("step", STEPS)
    @pytest.mark.parametrize(
        ("stage", "leaving", "taking"), [("cutover", LOCAL, CLUSTER), ("rollback", CLUSTER, LOCAL)]
    )
    def test_recovery_ends_where_the_pointer_says(
        self, tmp_path: Path, step: str, stage: str, leaving: str, taking: str
    ) -> None:
        store = build(tmp_path, serving=leaving)
        process = start(store, stage, slow=0.15)
        eventually(lambda: reached(store, stage, step))
        process.kill()
        process.wait()
        served = taking if STEPS.index(step) >= MOVED else leaving
        assert runner(store).recover() == served
        assert store.serving() == served
        found = told(store, stage)
        assert found["ok"] is False and found["ended"]
        assert f"died on the app server; the flip was settled, the {served} end serves" in found["error"]
        # A rollback that got through counts as one although nobody was told.
        assert store.paths.returned("mysql").exists() == (stage == "rollback" and served == LOCAL)
        assert runner(store).recover() is None

    def test_the_next_run_of_the_stage_settles_it_and_goes_on(self, store: FileStore) -> None:
        process = start(store, "cutover", slow=0.15)
        eventually(lambda: reached(store, "cutover", "apply"))
        process.kill()
        process.wait()
        outcome = runner(store).run("cutover", Options())
        assert outcome["ok"] and outcome["changed"]
        assert store.serving() == CLUSTER

    def test_a_stage_without_a_flip_is_given_its_end(self, store: FileStore) -> None:
        Record(store.paths.progress("mysql", "follow"), "mysql", "follow")
        found = {**told(store, "follow"), "pid": 999_999_999}
        store.paths.progress("mysql", "follow").write_text(json.dumps(found))
        assert runner(store).recover() is None
        assert "stage follow of store mysql died" in told(store, "follow")["error"]

    def test_one_that_lives_is_left_alone(self, store: FileStore) -> None:
        Record(store.paths.progress("mysql", "follow"), "mysql", "follow")
        runner(store).recover()
        assert told(store, "follow")["ended"] is None

    def test_recovery_waits_for_ends_that_boot(self, store: FileStore) -> None:
        FlipMarker("cutover", LOCAL, CLUSTER, 0, "", 0.0).write(store.paths.flip("mysql"))
        store.local.set(closed=True)
        tried: list[float] = []

        def open_store(name: str, paths: object) -> FileStore:
            if len(tried) < 3:
                raise StoreError("the container is not up yet")
            return store

        assert Runner("mysql", store.paths, open_store, wait=tried.append).recover(60.0) == LOCAL
        assert store.serving() == LOCAL

    def test_recovery_that_fails_says_why_and_leaves_room_for_stages(self, store: FileStore) -> None:
        FlipMarker("cutover", LOCAL, CLUSTER, 0, "", 0.0).write(store.paths.flip("mysql"))

        def open_store(name: str, paths: object) -> FileStore:
            raise StoreError("the cluster is gone")

        def wait(seconds: float) -> None:
            with locked(store.paths.lock("mysql"), "a stage", 0.0):
                clock[0] += 5

        clock = [0.0]
        with pytest.raises(StoreError, match=r"cannot be settled yet \(the cluster is gone\)"):
            Runner("mysql", store.paths, open_store, wait=wait).recover(10.0, clock=lambda: clock[0])
        assert store.paths.flip("mysql").exists()


class TestSignals:
    def test_a_flip_ends_before_its_stage_stops(self, store: FileStore) -> None:
        process = start(store, "cutover", slow=0.15)
        eventually(lambda: reached(store, "cutover", "fence"))
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert store.serving() == CLUSTER
        assert "was stopped on the app server" in told(store, "cutover")["error"]

    def test_elsewhere_it_stops_at_once(self) -> None:
        signals = Signals()
        with pytest.raises(Stopped):
            signals._told(signal.SIGTERM, None)

    def test_a_shield_within_a_shield_holds(self) -> None:
        signals = Signals()
        passed = []
        with pytest.raises(Stopped), signals.shield():
            with signals.shield():
                signals._told(signal.SIGTERM, None)
                passed.append("inner")
            passed.append("outer")
        assert passed == ["inner", "outer"]


class TestOptions:
    def test_a_request_is_taken_once(self, store: FileStore) -> None:
        path = store.paths.request("mysql", "cutover")
        path.write_text(json.dumps({"again": True, "attempts": 2, "limits": {"hold_seconds": 1}, "unknown": 1}))
        assert Options.take(path) == Options(again=True, attempts=2, limits={"hold_seconds": 1})
        assert Options.take(path) == Options()

    def test_limits_of_a_request_win(self, store: FileStore) -> None:
        # Not even a moment to hold: the flip has to give up.
        outcome = runner(store).run("cutover", Options(limits={"hold_seconds": 0.0}))
        assert not outcome["ok"] and "deadline of the hold passed" in outcome["error"]
        assert store.serving() == LOCAL

    def test_limits_that_a_flip_does_not_know_are_for_the_driver(self) -> None:
        assert limits_of({"hold_seconds": "3", "lag_seconds": 5}).hold_seconds == 3.0


def test_nothing_but_one_stage_at_a_time_changes_a_store(store: FileStore) -> None:
    """Many at once: each one either works or says that it has to wait, and the store is at rest in the end."""
    outcomes: list[dict[str, Any]] = []

    def run(stage: str) -> None:
        own = FileStore(store.paths)
        outcomes.append(Runner("mysql", store.paths, lambda name, paths: own).run(stage, Options(again=True)))

    threads = [threading.Thread(target=run, args=(stage,)) for stage in ("cutover", "follow", "rollback", "compare")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == len(threads)
    assert all(outcome["ok"] for outcome in outcomes), [outcome["error"] for outcome in outcomes]
    assert store.serving() in (LOCAL, CLUSTER)
