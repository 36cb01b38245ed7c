# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a terminal shows of a stage."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.plugin_utils.progress import duration, progress_line, size
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        ({}, ""),
        ({"phase": "drain"}, "drain"),
        (
            {"phase": "clone", "bytes_done": 1.2e9, "bytes_total": 3.4e9, "rate": 120e6},
            "clone: 1.2 GB of 3.4 GB (35%), 120.0 MB/s, 18 s left",
        ),
        ({"phase": "clone", "bytes_done": 5e6, "seconds_left": 7300}, "clone: 5.0 MB, 2.0 h left"),
        ({"phase": "clone", "bytes_done": 0, "bytes_total": 0, "rate": 0}, "clone: 0 B"),
        ({"phase": "clone", "bytes_done": 4e6, "bytes_total": 3e6}, "clone: 4.0 MB of 3.0 MB (100%)"),
        ({"phase": "apply", "lag_seconds": 3.14159, "note": ""}, "apply: lag seconds 3.1"),
        ({"phase": "postponed", "attempt": 2, "reason": "busy"}, "postponed: attempt 2, reason busy"),
    ],
)
def test_line(progress: dict[str, Any], line: str) -> None:
    assert progress_line(progress) == line


@given(st.dictionaries(st.text(max_size=12), st.none() | st.booleans() | st.integers() | st.floats() | st.text()))
def test_no_figures_can_break_it(progress: dict[str, Any]) -> None:
    assert isinstance(progress_line(progress), str)


@given(st.integers(0, 10**15))
def test_a_size_is_short(count: int) -> None:
    assert len(size(count)) <= 9


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (119, "119 s"), (600, "10 min"), (9000, "2.5 h")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
