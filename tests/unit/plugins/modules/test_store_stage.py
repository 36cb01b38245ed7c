# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that starts a stage and looks at it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError

RunModule = Callable[..., dict[str, Any]]
ENDED = {"ended": "12:01", "started": "12:00", "ok": True, "changed": True, "result": {"serving": "cluster"}}


class Unit:
    """The unit that the module finds."""

    present = True
    joined = False
    record: dict[str, Any] = ENDED
    asked: list[Any]

    def __init__(self, store: str, stage: str) -> None:
        self.asked.append((store, stage))

    def installed(self) -> bool:
        return self.present

    def start(self, request: dict[str, Any]) -> bool:
        self.asked.append(request)
        if not self.present:
            raise StoreError("this host has no unit")
        return self.joined

    def watch(self, seconds: float) -> dict[str, Any]:
        return self.record


@pytest.fixture
def unit(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Unit]]:
    from ansible_collections.tutorops.scale.plugins.modules import store_stage

    made = type("Found", (Unit,), {"asked": []})
    monkeypatch.setattr(store_stage, "StageUnit", made)
    yield made


def test_a_stage_that_worked(run_module: RunModule, unit: type[Unit]) -> None:
    answer = run_module("store_stage", store="mysql", stage="cutover", again=True, limits={"hold_seconds": 3})
    assert (answer["changed"], answer["running"], answer["joined"]) == (True, False, False)
    assert (answer["result"], answer["started"], answer["ended"]) == ({"serving": "cluster"}, "12:00", "12:01")
    assert unit.asked == [("mysql", "cutover"), {"again": True, "attempts": 10, "limits": {"hold_seconds": 3}}]


def test_a_stage_that_failed_says_why_and_keeps_its_result(run_module: RunModule, unit: type[Unit]) -> None:
    unit.record = {**ENDED, "ok": False, "changed": False, "error": "they differ", "postponed": True}
    answer = run_module("store_stage", store="mysql", stage="cutover")
    assert answer["failed"] and answer["msg"] == "they differ" and answer["postponed"]
    assert answer["result"] == {"serving": "cluster"}


def test_a_stage_that_runs_on(run_module: RunModule, unit: type[Unit]) -> None:
    unit.record = {"ended": None, "progress": {"phase": "clone"}}
    answer = run_module("store_stage", store="mysql", stage="follow")
    assert answer["running"] and answer["progress"] == {"phase": "clone"} and not answer["changed"]


def test_only_looking_starts_nothing(run_module: RunModule, unit: type[Unit]) -> None:
    answer = run_module("store_stage", store="mysql", stage="follow", join_only=True)
    assert answer["joined"]
    assert unit.asked == [("mysql", "follow")]


def test_a_host_that_was_not_set_up(run_module: RunModule, unit: type[Unit]) -> None:
    unit.present = False
    answer = run_module("store_stage", store="mysql", stage="follow")
    assert answer["failed"] and answer["msg"] == "this host has no unit"


@pytest.mark.parametrize(
    ("present", "standing", "changed"),
    [
        (False, None, True),
        (True, {"stage": "cutover", "pointer": "cluster"}, False),
        (True, {"stage": "following", "pointer": "local"}, True),
        (True, "no JSON", True),
    ],
)
def test_check_mode_runs_nothing_and_predicts(
    run_module: RunModule,
    unit: type[Unit],
    monkeypatch: pytest.MonkeyPatch,
    present: bool,
    standing: Any,
    changed: bool,
) -> None:
    from ansible.module_utils.basic import AnsibleModule

    text = standing if isinstance(standing, str) else json.dumps({"mysql": standing})
    monkeypatch.setattr(AnsibleModule, "run_command", lambda *words, **options: (0, text, ""))
    unit.present = present
    answer = run_module("store_stage", check=True, store="mysql", stage="cutover")
    assert answer["changed"] is changed
    assert "would run on the app server" in answer["msg"]
    assert unit.asked == [("mysql", "cutover")]


def test_the_stages_are_those_of_the_unit() -> None:
    import yaml
    from ansible_collections.tutorops.scale.plugins.module_utils.stage_unit import STAGES
    from ansible_collections.tutorops.scale.plugins.modules import store_stage

    documented = yaml.safe_load(store_stage.DOCUMENTATION)["options"]
    assert documented["stage"]["choices"] == list(STAGES)
    assert set(documented) == set(store_stage.ARGUMENTS)
