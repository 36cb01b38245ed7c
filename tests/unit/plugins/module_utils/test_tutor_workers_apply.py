# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planned numbers in the real Tutor 18, 20 and 22: what it renders, and that nothing is left of them afterwards."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_errors import TutorError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_workers_apply import apply
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_workers_plan import Plan
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_workers_plugin import PLUGIN, Record, read_record

pytestmark = pytest.mark.tutor_cli

LMS, CMS = "OPENEDX_LMS_UWSGI_WORKERS", "OPENEDX_CMS_UWSGI_WORKERS"
NUMBERS = {"lms": 8, "cms": 4, "lms-worker": 5, "cms-worker": 3}


def plan(record: Record, set: dict[str, int] | None = None, unset: list[str] | None = None) -> Plan:
    return Plan(dict(record.numbers), set or {}, unset or [], record, {}, 0)


SCALED = plan(
    Record(numbers=NUMBERS, concurrency={"lms-worker": 5, "cms-worker": 3}, auto=("lms",), basis={"cores": 4}),
    {LMS: 8, CMS: 4},
)
TAKEN_AWAY = plan(Record(), unset=[LMS, CMS])


def do(lab: Any, wanted: Plan, check_mode: bool = False) -> Any:
    return apply(lab.tutor(), wanted, check_mode=check_mode, backups=1)


def services(lab: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("docker-compose.yml", "docker-compose.prod.yml"):
        loaded = yaml.safe_load((lab.root / "env" / "local" / name).read_text(encoding="utf-8"))
        for service, definition in loaded["services"].items():
            found.setdefault(service, {}).update(definition)
    return found


def test_each_tutor_renders_the_numbers_and_a_second_time_changes_nothing(lab: Any) -> None:
    plain = services(lab)
    before = lab.snapshot()
    rehearsed = do(lab, SCALED, check_mode=True)
    assert rehearsed.changed and lab.snapshot() == before
    done = do(lab, SCALED)
    assert done.env_changed == rehearsed.env_changed
    found = services(lab)
    assert found["lms"]["environment"]["UWSGI_WORKERS"] == 8
    assert found["cms"]["environment"]["UWSGI_WORKERS"] == 4
    for name in ("lms-worker", "cms-worker"):
        assert found[name]["command"] == [*plain[name]["command"], f"--concurrency={NUMBERS[name]}"]
    # Nobody else has another definition, so nobody else is rolled.
    assert {name for name in plain if plain[name] != found[name]} == set(NUMBERS)
    assert read_record((lab.plugins / f"{PLUGIN}.py").read_text(encoding="utf-8")) == SCALED.record
    before = lab.snapshot()
    assert not do(lab, SCALED).changed and lab.snapshot() == before


def test_what_is_taken_away_leaves_nothing_behind(lab: Any) -> None:
    plain, config = services(lab), lab.config()
    do(lab, SCALED)
    do(lab, TAKEN_AWAY)
    assert services(lab) == plain and lab.config() == config
    assert not (lab.plugins / f"{PLUGIN}.py").exists()
    assert not do(lab, TAKEN_AWAY).changed


def test_the_plugin_stands_alone_when_tutor_is_used_by_hand(lab22: Any) -> None:
    do(lab22, SCALED)
    found = lab22.cli("config", "save")
    assert found.returncode == 0 and "Failed to enable" not in found.stderr
    assert services(lab22)["lms-worker"]["command"][-1] == "--concurrency=5"


def test_a_setting_that_another_plugin_forces_is_refused_and_everything_put_back(lab22: Any) -> None:
    (lab22.plugins / "force.py").write_text(
        "from tutor import hooks\n"
        "@hooks.Filters.CONFIG_USER.add()\n"
        "def _force(items):\n"
        f"    return [*items, ('{LMS}', 3)]\n"
    )
    lab22.cli("plugins", "enable", "force")
    before = {path: content for path, (_, content) in lab22.snapshot().items()}
    with pytest.raises(TutorError, match=f"did not keep {LMS}: 8, because another plugin forces"):
        do(lab22, SCALED)
    assert {path: content for path, (_, content) in lab22.snapshot().items()} == before
