# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules around a roll (test_roll.py): what is predicted, what is proved afterwards, and what needs none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.roll import Report
from ansible_collections.tutorops.scale.plugins.modules import tutor_config, tutor_local

pytestmark = pytest.mark.tutor_cli

Run = Callable[..., dict[str, Any]]

ROLLED = {"state": "rolled", "wait_for": "none"}


class Rolls:
    """Stands in for the roll; remembers what it was asked for."""

    def __init__(self, due: list[str], left: list[str]) -> None:
        self.due, self.left = due, left
        self.asked: list[list[str]] = []

    def roll(self, _tutor: Any, services: list[str], timeout: float) -> Report:
        self.asked.append(services)
        rolled, self.due = self.due, self.left
        return Report(rolled=rolled, kept=["cms"])

    def stale(self, _tutor: Any, _services: list[str]) -> list[str]:
        return self.due


@pytest.fixture
def rolls(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Rolls]:
    def make(due: list[str], left: list[str]) -> Rolls:
        made = Rolls(due, left)
        monkeypatch.setattr(tutor_local, "roll", made.roll)
        monkeypatch.setattr(tutor_local, "stale", made.stale)
        return made

    return make


def test_check_mode_names_what_would_be_rolled(lab22: Any, run_module: Run, rolls: Callable[..., Rolls]) -> None:
    made = rolls(["lms"], [])
    answer = run_module("tutor_local", check=True, **lab22.options(**ROLLED))
    assert answer["changed"] and answer["changes"] == {"recreated": ["lms"]} and made.asked == []
    rolls([], [])
    assert run_module("tutor_local", check=True, **lab22.options(**ROLLED))["changed"] is False


def test_a_roll_tells_what_it_did_and_changes_nothing_twice(
    lab22: Any, run_module: Run, rolls: Callable[..., Rolls]
) -> None:
    lab22.docker.define(lms="h1", cms="h1", lms_worker="h1", cms_worker="h1")
    made = rolls(["lms"], [])
    answer = run_module("tutor_local", **lab22.options(services=["openedx"], **ROLLED))
    assert answer["changed"] and answer["roll"]["rolled"] == ["lms"] and answer["roll"]["kept"] == ["cms"]
    assert made.asked == [["lms", "cms", "lms-worker", "cms-worker"]]
    assert run_module("tutor_local", **lab22.options(**ROLLED))["changed"] is False


def test_a_process_with_other_settings_afterwards_is_a_failure(
    lab22: Any, run_module: Run, rolls: Callable[..., Rolls]
) -> None:
    rolls(["lms"], ["cms"])
    answer = run_module("tutor_local", **lab22.options(**ROLLED))
    assert answer["failed"] and answer["msg"].startswith("cms runs with other settings than those rendered now")


def test_a_change_that_nobody_has_to_read_is_made_between_two_looks(
    lab22: Any, run_module: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []

    @contextmanager
    def as_read(tutor: Any) -> Iterator[None]:
        looks.append(tutor.user_config().get("RUN_MYSQL") is False)
        yield
        looks.append(tutor.user_config().get("RUN_MYSQL") is False)

    monkeypatch.setattr(tutor_config, "as_read", as_read)
    options = lab22.options(set={"RUN_MYSQL": False}, reread=False)
    assert run_module("tutor_config", check=True, **options)["changed"] and looks == []
    assert run_module("tutor_config", **options)["changed"] and looks == [False, True]
