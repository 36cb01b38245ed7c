# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller does while a stage runs: shows it, and does not let go of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.tutorops.scale.plugins.action import store_stage

ENDED = {"running": False, "joined": True, "changed": True, "result": {"bytes": 3}, "progress": {}}
LOST = AnsibleConnectionFailure("ssh: connect to host app1: Connection timed out\nmore")
GARBAGE = {"failed": True, "msg": "MODULE FAILURE\nSee stdout"}


def running(joined: bool = False, **progress: Any) -> dict[str, Any]:
    return {"running": True, "joined": joined, "changed": False, "progress": progress, "invocation": {}}


class Stage(store_stage.ActionModule):
    """The action over a connection of the test."""

    def __init__(self, *answers: dict[str, Any] | Exception, **arguments: Any) -> None:
        self.answers = iter(answers)
        self.asked: list[dict[str, Any]] = []
        self.resets = 0
        self.now = 0.0
        self.clock = lambda: self.now
        self.wait = self._pass
        arguments = {"store": "mysql", "stage": "follow", **arguments}
        self._task = type("Task", (), {"args": arguments, "async_val": 0, "check_mode": False})()  # type: ignore[assignment]
        self._connection = self  # type: ignore[assignment]

    def _pass(self, seconds: float) -> None:
        self.now += seconds

    def reset(self) -> None:
        self.resets += 1

    def _execute_module(self, module_name: str, module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:  # type: ignore[override]
        self.asked.append(module_args)
        self.now += 3.0
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    lines: list[str] = []
    monkeypatch.setattr(store_stage.ActionBase, "run", lambda *words, **options: {})
    monkeypatch.setattr(store_stage.display, "display", lambda text, **options: lines.append(text))
    monkeypatch.setattr(store_stage.display, "warning", lambda text, **options: lines.append(f"warning {text}"))
    yield lines


def test_progress_is_shown_and_the_result_returned(told: list[str]) -> None:
    stage = Stage(
        running(phase="clone", bytes_done=1e9, bytes_total=4e9),
        running(phase="clone", bytes_done=2e9, bytes_total=4e9),
        ENDED,
    )
    assert stage.run(task_vars={}) == {**ENDED, "joined": False}
    assert told == [
        "mysql follow: started",
        "mysql follow: clone: 1.0 GB of 4.0 GB (25%)",
        "mysql follow: clone: 2.0 GB of 4.0 GB (50%)",
    ]
    assert [asked.get("join_only", False) for asked in stage.asked] == [False, True, True]


def test_what_does_not_change_is_shown_once(told: list[str]) -> None:
    Stage(running(phase="apply"), running(phase="apply"), running(phase="apply"), ENDED).run(task_vars={})
    assert told.count("mysql follow: apply") == 1


def test_a_stage_that_ends_at_once_is_quiet(told: list[str]) -> None:
    assert Stage(ENDED).run(task_vars={}) == ENDED
    assert told == []


def test_a_stage_that_runs_already_is_named_so(told: list[str]) -> None:
    assert Stage(running(joined=True), ENDED).run(task_vars={})["joined"]
    assert told == ["mysql follow: runs already, joined"]


@pytest.mark.parametrize("trouble", [LOST, GARBAGE], ids=["connection", "no answer of the module"])
def test_a_lost_connection_is_tried_again(told: list[str], trouble: Any) -> None:
    stage = Stage(running(), trouble, trouble, trouble, running(phase="apply"), ENDED)
    assert stage.run(task_vars={})["result"] == {"bytes": 3}
    warnings = [line for line in told if line.startswith("warning")]
    assert len(warnings) == 1 and "the stage goes on, trying again" in warnings[0]
    assert "\n" not in warnings[0]
    assert stage.resets == 3
    assert all(asked["join_only"] for asked in stage.asked[1:])


def test_who_was_never_there_is_unreachable(told: list[str]) -> None:
    with pytest.raises(AnsibleConnectionFailure):
        Stage(LOST).run(task_vars={})


def test_a_refusal_ends_it(told: list[str]) -> None:
    refused = {"failed": True, "msg": "this host has no unit"}
    assert Stage(refused).run(task_vars={}) == refused


@pytest.mark.parametrize("answers", [[running(phase="clone")] * 9, [running(phase="clone"), *[LOST] * 9]])
def test_it_gives_up_waiting_but_not_the_stage(told: list[str], answers: list[Any]) -> None:
    answer = Stage(*answers, timeout=20).run(task_vars={})
    assert answer["failed"] and not answer["changed"]
    assert "goes on by itself on the app server: run the same playbook again" in answer["msg"]


def reported(folder: Path) -> list[dict[str, Any]]:
    report = json.loads((folder / "r1" / "report.json").read_text())
    return list(report["stores"]["mysql"]["stages"])


@pytest.mark.parametrize("answer", [ENDED, {"failed": True, "msg": "no room"}], ids=["worked", "failed"])
def test_what_came_of_it_is_recorded(told: list[str], tmp_path: Path, answer: dict[str, Any]) -> None:
    Stage(answer, report={"directory": str(tmp_path), "run": "r1"}).run(task_vars={})
    (line,) = reported(tmp_path)
    assert (line["stage"], line["ok"], line["error"]) == ("follow", "failed" not in answer, answer.get("msg"))


def test_a_host_that_was_never_there_is_recorded(told: list[str], tmp_path: Path) -> None:
    with pytest.raises(AnsibleConnectionFailure):
        Stage(LOST, report={"directory": str(tmp_path), "run": "r1"}).run(task_vars={})
    assert reported(tmp_path)[0]["error"] == "the app server could not be reached"


def test_a_prediction_is_not_recorded(told: list[str], tmp_path: Path) -> None:
    stage = Stage({"changed": True, "msg": "would run"}, report={"directory": str(tmp_path), "run": "r1"})
    stage._task.check_mode = True
    stage.run(task_vars={})
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_fails_what_worked_and_hides_no_failure(
    told: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    report = {"directory": str(tmp_path / "file"), "run": "r1"}
    answer = Stage(ENDED, report=report).run(task_vars={})
    assert answer["failed"] and "offload_report_dir" in answer["msg"]
    answer = Stage({"failed": True, "msg": "no room"}, report=report).run(task_vars={})
    assert answer["msg"] == "no room" and "offload_report_dir" in told[-1]
