# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has the say about a number: the inventory, somebody's hand, an earlier choice, a measurement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_errors import TutorError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_workers import KINDS, MIB, Machine, Size
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_workers_find import (
    Policy,
    concurrency,
    obstacle,
    parse_size,
)
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_workers_plan import (
    Found,
    Plan,
    Service,
    explanation,
    make_plan,
    read_wants,
)
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_workers_plugin import Record, read_record

AUTO = dict.fromkeys(KINDS, "auto")
KEEP = dict.fromkeys(KINDS, "keep")
CHOSEN = {"lms": 8, "cms": 4, "lms-worker": 4, "cms-worker": 2}
LMS, CMS = "OPENEDX_LMS_UWSGI_WORKERS", "OPENEDX_CMS_UWSGI_WORKERS"


def platform(limit: int = 99999, record: Record | None = None, **named: int) -> Found:
    """A platform of four cores that runs what Tutor does by itself, but for the numbers that are named."""
    services = {}
    for name, kind in KINDS.items():
        usual = 2 if kind.web else 4
        given = named.get(name.replace("-", "_"))
        count = usual if given is None else given
        services[name] = Service(Size(1, count, 100 * MIB, 400 * MIB), (count,), given, usual)
    machine = Machine(4, limit * MIB, limit * MIB, {"mysql": 1000 * MIB})
    return Found(machine, services, record or Record(), {"cores": 4, "limit_gib": limit})


def after(plan: Plan, limit: int = 99999) -> Found:
    """The platform once a plan is in force."""
    record = read_record(plan.record.plugin().content)
    assert record == plan.record
    named = {
        name.replace("-", "_"): count
        for name, count in record.numbers.items()
        if KINDS[name].web or name in record.concurrency
    }
    return platform(limit, record, **named)


def ids(plan: Plan) -> list[str]:
    return [finding.id for finding in plan.findings]


def unchanged(plan: Plan, found: Found) -> bool:
    return not plan.set and not plan.unset and plan.record == found.record


def test_auto_chooses_once_and_stays_with_it_while_memory_moves() -> None:
    plan = make_plan(platform(), AUTO)
    assert plan.numbers == CHOSEN
    assert plan.set == {LMS: 8, CMS: 4}
    # Four is what Celery does by itself on four cores, so the command of lms-worker stays as it is.
    assert plan.record.concurrency == {"cms-worker": 2}
    found = after(plan)
    # The next look finds smaller workers and a larger store, and nobody wants a roll for that.
    grown = {name: replace(one, size=replace(one.size, worker=333 * MIB)) for name, one in found.services.items()}
    found = replace(found, services=grown, machine=replace(found.machine, others={"mysql": 3000 * MIB}))
    assert unchanged(make_plan(found, AUTO), found)


def test_auto_chooses_anew_when_its_choice_no_longer_fits_or_the_machine_is_another_one_or_it_is_told_to() -> None:
    record = make_plan(platform(), AUTO).record
    named = {name.replace("-", "_"): count for name, count in CHOSEN.items()}
    full = platform(record=record, **named)
    full = replace(full, machine=replace(full.machine, others={"mysql": 95000 * MIB}))
    assert make_plan(full, AUTO).numbers["lms"] < 8
    larger = platform(record=record, **named)
    larger = replace(larger, machine=replace(larger.machine, cores=8), basis={"cores": 8, "limit_gib": 99999})
    assert make_plan(larger, AUTO).numbers["lms"] == 16
    lower = platform(record=replace(record, numbers={**CHOSEN, "lms": 3}), **{**named, "lms": 3})
    assert make_plan(lower, AUTO).numbers["lms"] == 3
    assert make_plan(lower, AUTO, again=True).numbers["lms"] == 8


def test_auto_respects_and_reports_what_somebody_set_by_hand() -> None:
    plan = make_plan(platform(lms=6, lms_worker=3), AUTO)
    assert (plan.numbers["lms"], plan.numbers["lms-worker"]) == (6, 3)
    assert LMS not in plan.set and "lms-worker" not in plan.record.numbers
    assert ids(plan) == ["workers.by_hand", "workers.by_hand"]
    # Also when it was the collection that set another number before.
    found = after(make_plan(platform(), AUTO))
    found = replace(found, services={**found.services, "lms": replace(found.services["lms"], named=5)})
    plan = make_plan(found, AUTO)
    assert plan.numbers["lms"] == 5 and ids(plan) == ["workers.by_hand"] and not plan.set


def test_a_number_of_the_inventory_replaces_and_reports_what_was_set_by_hand() -> None:
    plan = make_plan(platform(lms=6), {**KEEP, "lms": "3"})
    assert plan.set == {LMS: 3} and ids(plan) == ["workers.replaced"]
    assert plan.before == {"lms": "6", "cms": "default", "lms-worker": "default", "cms-worker": "default"}
    found = after(plan)
    assert unchanged(make_plan(found, {**KEEP, "lms": "3"}), found)


def test_keep_keeps_and_default_takes_away() -> None:
    assert unchanged(make_plan(platform(lms=6), KEEP), platform(lms=6))
    found = after(make_plan(platform(), AUTO))
    assert unchanged(make_plan(found, KEEP), found)
    plan = make_plan(found, dict.fromkeys(KINDS, "default"))
    assert plan.numbers == {"lms": 2, "cms": 2, "lms-worker": 4, "cms-worker": 4}
    assert sorted(plan.unset) == [CMS, LMS] and not plan.set and plan.record == Record()


def test_what_was_measured_and_worse_is_not_tried_again() -> None:
    tried = make_plan(platform(), AUTO)
    found = after(tried)
    back = make_plan(found, tried.before, worse=tried.numbers)
    assert back.numbers == {"lms": 2, "cms": 2, "lms-worker": 4, "cms-worker": 4}
    found = after(back)
    plan = make_plan(found, AUTO)
    assert unchanged(plan, found) and plan.numbers == back.numbers and ids(plan) == ["workers.worse"]
    assert make_plan(found, {**AUTO, "lms": "3"}).numbers["lms"] == 3
    again = make_plan(found, AUTO, again=True)
    assert again.numbers == CHOSEN and not again.record.worse


def test_an_obstacle_is_reported_by_auto_and_refuses_a_number() -> None:
    found = platform()
    blocked = replace(found.services["lms-worker"], obstacle="Tutor 18.1.4 has no filter for its command")
    found = replace(found, services={**found.services, "lms-worker": blocked})
    plan = make_plan(found, AUTO)
    assert plan.numbers["lms-worker"] == 4 and ids(plan) == ["workers.kept"]
    assert plan.before["lms-worker"] == "keep"
    with pytest.raises(TutorError, match="lms-worker cannot be set: Tutor 18.1.4 has no filter.*leave it at keep"):
        make_plan(found, {**AUTO, "lms-worker": "2"})


def test_the_explanation_names_inputs_and_result() -> None:
    found = platform(12000)
    text = "\n".join(explanation(found, make_plan(found, {**AUTO, "cms": "3"}), 20))
    assert "mysql 1000 MiB" in text and "lms: 1 x (100 MiB + 2 workers of 400 MiB)" in text
    assert "lms: 2 -> 8 (2 a core, 4 cores, at least 2: 8)" in text and "cms: 2 -> 3 (as asked)" in text


@pytest.mark.parametrize("want", ["0", "-1", "many", "1.5", "", "True", "99999", " 3", "Auto"])
def test_what_is_no_number_is_refused(want: str) -> None:
    with pytest.raises(TutorError, match="cannot be the number of workers of lms"):
        read_wants({**AUTO, "lms": want})


def test_a_plugin_file_that_was_broken_by_hand_is_refused() -> None:
    with pytest.raises(TutorError, match="edited by hand"):
        read_record("RECORD = {'numbers': oops}")
    assert read_record(None) == Record()


@pytest.mark.parametrize(
    ("command", "number"),
    [
        (["celery", "worker", "--concurrency=4"], 4),
        (["celery", "worker", "--concurrency", "4"], 4),
        (["celery", "worker", "-c", "3", "--concurrency=5"], 5),
        (["celery", "worker", "-c7"], 7),
        (["celery", "--hostname=a-c3", "worker"], None),
        ([], None),
    ],
)
def test_the_last_concurrency_of_a_command_counts(command: list[str], number: int | None) -> None:
    assert concurrency(command) == number


def test_obstacles() -> None:
    assert obstacle("lms", (18, 1, 0), []) == ""
    assert "18.2" in obstacle("lms-worker", (18, 1, 4), [])
    assert obstacle("lms-worker", (18, 2, 0), []) == ""
    assert "--autoscale" in obstacle("cms-worker", (22, 0, 1), ["celery", "--autoscale=8,2"])


@pytest.mark.parametrize(
    ("text", "size"),
    [("", 0), ("0", 0), ("512M", 512 * MIB), ("1.5G", 1536 * MIB), ("4 GiB", 4096 * MIB), ("100k", 102400)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["lots", "-1G", "5X", "G"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(TutorError, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize("policy", [Policy(reserve=100), Policy(reserve=-1), Policy(needs={"lms": 1})])
def test_a_policy_that_makes_no_sense_is_refused(policy: Any) -> None:
    with pytest.raises(TutorError):
        policy.check()
