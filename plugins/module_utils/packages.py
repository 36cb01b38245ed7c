# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages a host has, and which apt would give it; read without apt's lock, its library or its time."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

Run = Callable[[Sequence[str]], str]


class Versions(NamedTuple):
    """Versions of a package; ``None`` where there is none."""

    installed: str | None = None
    candidate: str | None = None


def run(command: Sequence[str]) -> str:
    """Run a command that only reads, and give what it prints; nothing where it fails or is missing."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def versions(packages: Iterable[str], run: Run = run) -> dict[str, Versions]:
    """Tell the versions of each of these packages that apt knows."""
    text = run(["apt-cache", "policy", *packages])
    found = re.findall(r"^(\S+):\n\s+Installed: (.+)\n\s+Candidate: (.+)$", text, re.MULTILINE)
    return {name: Versions(*(None if one == "(none)" else one for one in both)) for name, *both in found}


def missing(packages: Sequence[str], run: Run = run) -> tuple[str, ...]:
    """Name those of the packages that are not installed."""
    return absent(packages, versions(packages, run)) if packages else ()


def absent(packages: Sequence[str], known: Mapping[str, Versions]) -> tuple[str, ...]:
    """The same, where their versions are known already."""
    return tuple(name for name in packages if not known.get(name, Versions()).installed)


def is_of(version: str, wanted: str) -> bool:
    """Whether a package's version is of a series or release; of any without one."""
    return not wanted or re.match(rf"(\d+:)?{re.escape(wanted)}([.\-+~]|$)", version) is not None
