# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller does while a stage runs: shows it, and does not let go of it."""

from __future__ import annotations

from collections.abc import Iterator
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
