# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the drivers of all stores do with what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

L = TypeVar("L")


def limits_of(kind: type[L], given: Mapping[str, Any]) -> L:
    """The limits of a driver that are given; the same mapping also holds those of a flip, which cutover.py reads."""
    known = vars(kind())
    return kind(**{name: type(value)(given[name]) for name, value in known.items() if given.get(name) is not None})
