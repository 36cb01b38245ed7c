# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The formula: what fits, what auto chooses, what is refused; worked out by hand in MiB."""

from __future__ import annotations

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_errors import TutorError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_workers import KINDS, MIB, Formula, Machine, Size
from hypothesis import given
from hypothesis import strategies as st

SERVICES = tuple(KINDS)


def machine(limit: int, cores: int = 4, others: int = 1000) -> Machine:
    return Machine(cores, limit * MIB, limit * MIB, {"mysql": others * MIB})


def size(workers: int, worker: int = 400, base: int = 100, containers: int = 1) -> Size:
    return Size(containers, workers, base * MIB, worker * MIB)


def sizes(**changed: Size) -> dict[str, Size]:
    found = {"lms": size(2), "cms": size(2), "lms-worker": size(4, 300), "cms-worker": size(4, 300)}
    return {**found, **{name.replace("_", "-"): one for name, one in changed.items()}}


def test_the_peak_has_one_container_more_at_each_step() -> None:
    formula = Formula(machine(99999), sizes())
    # 1000 + lms 900 + cms 900 + workers 1300 each
    assert formula.steady({}) == 5400 * MIB
    assert formula.peak({}) == 5400 * MIB
    # lms 8 takes 3300; beside it, while it is rolled, still its predecessor: 5400 + 3300.
    assert formula.peak({"lms": 8}) == 8700 * MIB
    # Then cms 8 in its turn: lms has its new size already.
    assert formula.peak({"lms": 8, "cms": 8}) == (5400 - 900 + 3300 + 3300) * MIB
    # Down: the new and smaller one comes beside the old one.
    assert formula.peak({"lms": 1}) == 5900 * MIB


def test_a_service_of_several_containers_is_rolled_one_by_one() -> None:
    formula = Formula(machine(99999), {"lms": size(2, containers=2)})
    assert formula.steady({}) == (1000 + 2 * 900) * MIB
    # Up from 900 to 1300 each: the last step has one old and two new ones.
    assert formula.peak({"lms": 3}) == (1000 + 900 + 2 * 1300) * MIB
    assert formula.peak({"lms": 1}) == (1000 + 2 * 900 + 500) * MIB


def test_auto_follows_the_cores_where_memory_is_plenty() -> None:
    formula = Formula(machine(99999, cores=4), sizes())
    assert formula.choose({}, SERVICES) == {"lms": 8, "cms": 4, "lms-worker": 4, "cms-worker": 2}
    formula = Formula(machine(99999, cores=1), sizes())
    assert formula.choose({}, SERVICES) == {"lms": 2, "cms": 2, "lms-worker": 1, "cms-worker": 1}


def test_auto_leaves_alone_what_is_fixed_and_shrinks_the_rest_in_step() -> None:
    formula = Formula(machine(7500), sizes())
    # The step of lms comes first: 5400 + 100 + 400 n <= 7500 holds up to 5 of 8. Then, with 2100 for the new
    # lms, that of lms-worker: 6700 + 300 n <= 7500 holds 2 of 4. What cms-worker lost on the way is given back.
    numbers = formula.choose({"cms": 2}, ["lms", "lms-worker", "cms-worker"])
    assert numbers == {"cms": 2, "lms": 5, "lms-worker": 2, "cms-worker": 2}


def test_too_large_a_number_is_refused_with_the_largest_that_fits() -> None:
    formula = Formula(machine(9000), sizes())
    largest = formula.largest("lms", formula.now())
    # 1000 + 900 + 1300 + 1300 of the others, 900 of the old one, and 100 + 400 n <= 3600 for the new one.
    assert largest == 8
    formula.refuse({**formula.now(), "lms": 8}, ["lms"], [])
    with pytest.raises(TutorError, match="cannot carry lms 9.*lms at most 8"):
        formula.refuse({**formula.now(), "lms": 9}, ["lms"], [])


def test_shrinking_is_possible_on_a_machine_that_is_too_full() -> None:
    formula = Formula(machine(2000), sizes())
    formula.refuse({**formula.now(), "lms": 1}, ["lms"], [])
    with pytest.raises(TutorError, match="lms at most 0"):
        formula.refuse({**formula.now(), "lms": 3}, ["lms"], [])


def test_auto_never_grows_on_a_machine_that_is_too_full() -> None:
    formula = Formula(machine(2000), sizes())
    numbers = formula.choose({}, SERVICES)
    formula.refuse(numbers, [], SERVICES)
    assert numbers == dict.fromkeys(SERVICES, 1)


counts = st.integers(1, 30)
whole_sizes = st.fixed_dictionaries(
    {
        name: st.builds(
            size, counts, worker=st.integers(1, 900), base=st.integers(0, 900), containers=st.integers(1, 3)
        )
        for name in SERVICES
    }
)


@given(whole_sizes, st.integers(1, 64), st.integers(500, 100_000))
def test_auto_is_never_past_the_limit_when_anything_grows(found: dict[str, Size], cores: int, limit: int) -> None:
    formula = Formula(machine(limit, cores), found)
    numbers = formula.choose({}, SERVICES)
    assert all(1 <= numbers[name] <= KINDS[name].wish(cores) for name in SERVICES)
    if numbers != dict.fromkeys(SERVICES, 1):
        assert formula.peak(numbers) <= limit * MIB


@given(whole_sizes, st.integers(500, 100_000), st.sampled_from(SERVICES))
def test_the_largest_number_is_the_largest(found: dict[str, Size], limit: int, name: str) -> None:
    formula = Formula(machine(limit), found)
    most = formula.largest(name, formula.now())
    assert most == 0 or formula.fits({**formula.now(), name: most}) or most == found[name].workers
    if most < 4096:
        assert not formula.fits({**formula.now(), name: most + 1})
