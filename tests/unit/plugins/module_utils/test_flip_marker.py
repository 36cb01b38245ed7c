# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns a flip, and whether it lives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.flip_marker import (
    FlipMarker,
    clear_marker,
    process_started,
)
from hypothesis import given
from hypothesis import strategies as st


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "mysql" / "flip.json"
    marker = FlipMarker.mine("cutover", "local", "cluster", 12.5)
    marker.write(path)
    assert FlipMarker.read(path) == marker
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    clear_marker(path)
    assert FlipMarker.read(path) is None


def test_this_process_lives() -> None:
    assert FlipMarker.mine("cutover", "local", "cluster", 0.0).alive()


def test_a_process_that_ended_does_not() -> None:
    process = subprocess.Popen(["sleep", "60"])
    marker = FlipMarker("cutover", "local", "cluster", process.pid, process_started(process.pid) or "", 0.0)
    assert marker.alive()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    # Not even while its parent has not noticed.
    assert not marker.alive()
    process.wait()
    assert not marker.alive()


def test_a_stopped_process_lives() -> None:
    process = subprocess.Popen(["sleep", "60"])
    try:
        marker = FlipMarker("cutover", "local", "cluster", process.pid, process_started(process.pid) or "", 0.0)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert marker.alive()
    finally:
        process.kill()
        process.wait()


def test_another_process_with_the_same_number_is_not_the_owner() -> None:
    mine = FlipMarker.mine("cutover", "local", "cluster", 0.0)
    assert not FlipMarker(mine.stage, mine.leaving, mine.taking, mine.pid, "7 another-boot", 0.0).alive()


def test_a_reboot_makes_another_process_of_it(tmp_path: Path) -> None:
    boot = tmp_path / "boot_id"
    boot.write_text("first\n")
    before = process_started(os.getpid(), boot)
    boot.write_text("second\n")
    assert before != process_started(os.getpid(), boot)


@pytest.mark.parametrize("pid", [0, -1, 2**30])
def test_no_process_is_not_alive(pid: int) -> None:
    assert not FlipMarker("cutover", "local", "cluster", pid, "", 0.0).alive()


values = st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
broken = st.dictionaries(st.sampled_from([each.name for each in fields(FlipMarker)]), values).map(json.dumps)


@given(text=st.text(max_size=40) | broken)
def test_one_that_cannot_be_read_is_one_all_the_same(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("marker") / "flip.json"
    path.write_bytes(text.encode(errors="surrogatepass"))
    marker = FlipMarker.read(path)
    assert marker is not None
    assert not marker.alive()
