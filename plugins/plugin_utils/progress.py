# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of a stage as one line for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNITS = ("B", "kB", "MB", "GB", "TB")
#: Figures that have a form of their own below.
KNOWN = ("phase", "bytes_done", "bytes_total", "rate", "seconds_left")


def progress_line(progress: Mapping[str, Any]) -> str:
    """Such as ``clone: 1.2 GB of 3.4 GB (35%), 120.0 MB/s, 18 s left``; empty when there is nothing to tell."""
    parts = []
    done, total, rate = (_number(progress.get(name)) for name in ("bytes_done", "bytes_total", "rate"))
    if done is not None and total:
        parts.append(f"{size(done)} of {size(total)} ({min(done / total, 1):.0%})")
    elif done is not None:
        parts.append(size(done))
    if rate:
        parts.append(f"{size(rate)}/s")
    left = _number(progress.get("seconds_left"))
    if left is None and rate and done is not None and total:
        left = max(total - done, 0) / rate
    if left is not None:
        parts.append(f"{duration(left)} left")
    others = {name: value for name, value in progress.items() if name not in KNOWN and value not in (None, "", [], {})}
    parts += [f"{name.replace('_', ' ')} {_text(value)}" for name, value in others.items()]
    return ": ".join(part for part in (str(progress.get("phase") or ""), ", ".join(parts)) if part)


def size(count: float) -> str:
    """A number of bytes for people."""
    unit = 0
    while count >= 999.5 and unit < len(UNITS) - 1:
        count /= 1000
        unit += 1
    return f"{count:.0f} {UNITS[unit]}" if unit < 2 else f"{count:.1f} {UNITS[unit]}"


def duration(seconds: float) -> str:
    """A number of seconds for people."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{round(whole / 60)} min"
    return f"{whole / 3600:.1f} h"


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _text(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
