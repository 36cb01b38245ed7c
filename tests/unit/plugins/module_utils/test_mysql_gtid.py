# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import mysql_gtid as gtid

ONE, TWO = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4350f323-7565-4e59-8763-4b1b83a0ce0e"


@pytest.mark.parametrize(
    ("position", "number", "origins"),
    [
        ("", 0, set()),
        (f"{ONE}:1-5", 5, {ONE}),
        (f"{ONE}:1-5:11:20-21,\n{TWO}:7", 9, {ONE, TWO}),
        (f"{ONE.upper()}:tag_one:1-3:other:4-5", 5, {ONE}),
    ],
)
def test_a_set_is_counted(position: str, number: int, origins: set[str]) -> None:
    assert gtid.count(position) == number
    assert gtid.origins(position) == origins


def test_a_set_fits_on_one_line() -> None:
    assert gtid.plain(f"{ONE}:1-5,\n{TWO}:7\n") == f"{ONE}:1-5,{TWO}:7"
    assert gtid.plain("") == ""
