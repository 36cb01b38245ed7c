# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_series import (
    AUTO,
    LOGICAL,
    PHYSICAL,
    clones,
    obstacle,
    release,
    replicates,
    shown,
    way,
)


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("8.4.11", (8, 4, 11)), ("9.7.4-2", (9, 7, 4)), ("8.4.11-1debian13", (8, 4, 11)), ("8.4", (8, 4, 0)), (None, ())],
)
def test_a_release_is_read_out_of_any_version(version: str | None, numbers: tuple[int, ...]) -> None:
    assert release(version) == numbers


def test_a_series_is_written_as_people_do() -> None:
    assert shown((8, 4, 11)) == "8.4"


@pytest.mark.parametrize(
    ("source", "target", "possible"),
    [
        ((8, 4, 11), (8, 4, 0), True),
        ((9, 7, 1), (9, 7, 4), True),
        ((8, 0, 37), (8, 0, 40), True),
        ((8, 0, 36), (8, 0, 40), False),
        ((8, 0, 36), (8, 0, 36), True),
        ((9, 1, 0), (9, 1, 1), False),
        ((8, 4, 11), (9, 7, 4), False),
    ],
)
def test_the_clone_plugin_copies_within_long_term_series(
    source: tuple[int, ...], target: tuple[int, ...], possible: bool
) -> None:
    assert clones(source, target) is possible


@pytest.mark.parametrize(
    ("source", "target", "possible"),
    [
        ((8, 0, 40), (8, 4, 11), True),
        ((8, 4, 11), (9, 7, 4), True),
        # To the long-term series that ends an innovation series, and within that.
        ((8, 1, 0), (8, 4, 11), True),
        ((9, 1, 0), (9, 7, 4), True),
        ((9, 1, 0), (9, 6, 0), True),
        # There it is documented, but not back.
        ((8, 4, 11), (9, 6, 0), False),
        # A long-term series cannot be left out.
        ((8, 0, 40), (9, 7, 4), False),
        ((8, 3, 0), (9, 7, 4), False),
        ((9, 7, 4), (8, 4, 11), False),
        ((9, 6, 0), (9, 1, 0), False),
        ((8, 4, 11), (8, 4, 2), True),
        # Nobody knows yet.
        ((9, 7, 4), (10, 4, 0), False),
    ],
)
def test_replication_is_documented_there_and_back(
    source: tuple[int, ...], target: tuple[int, ...], possible: bool
) -> None:
    assert replicates(source, target) is possible


def test_the_way_is_physical_where_that_is_possible_and_as_it_is_wanted() -> None:
    assert way(AUTO, (8, 4, 11), (8, 4, 2)) == PHYSICAL
    assert way(AUTO, (8, 4, 11), (9, 7, 4)) == LOGICAL
    # Not known yet: then it is most likely what the role installs for the source's series.
    assert way(AUTO, (8, 4, 11), ()) == PHYSICAL
    assert way(LOGICAL, (8, 4, 11), (8, 4, 2)) == LOGICAL
    assert way(PHYSICAL, (8, 4, 11), (9, 7, 4)) == PHYSICAL


def test_what_is_not_possible_is_told_in_words() -> None:
    assert obstacle(LOGICAL, (8, 4, 11), (8, 4, 11)) == obstacle(PHYSICAL, (8, 4, 11), (8, 4, 11)) == ""
    assert "same long-term series" in obstacle(PHYSICAL, (8, 4, 11), (9, 7, 4))
    assert "from one long-term series to the next" in obstacle(LOGICAL, (8, 0, 40), (9, 7, 4))
