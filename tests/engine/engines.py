# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers of the tests of all engines."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError


def docker(*words: str, given: str | None = None, error: type[Exception] = RuntimeError) -> str:
    """Run docker; raises with what it said."""
    done = subprocess.run(["docker", *words], input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise error(f"docker {' '.join(words[:3])}: {done.stderr.strip()}")
    return done.stdout.strip()


def await_true(
    condition: Callable[[], Any],
    what: str,
    seconds: float = 120.0,
    errors: tuple[type[Exception], ...] = (StoreError, RuntimeError, OSError),
) -> Any:
    """Wait until a condition holds; errors of servers that are still starting count as no."""
    ends = time.monotonic() + seconds
    said = ""
    while time.monotonic() < ends:
        try:
            if found := condition():
                return found
        except errors as problem:
            said = str(problem)
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}: {said}")


def need_images(*names: str) -> None:
    """Skip where docker or one of the lab's images is missing."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed here")
    for name in names:
        if subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False).returncode:
            pytest.skip(f"the image {name} is not here: build it by `molecule/shared/lab.py images`")
