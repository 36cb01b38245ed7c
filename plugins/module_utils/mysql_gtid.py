# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of global transaction identifiers, as MySQL writes them: ``uuid[:tag]:first-last:...,uuid...``."""

from __future__ import annotations

from collections.abc import Iterator


def plain(position: str) -> str:
    """A set on one line; the server breaks long ones."""
    return "".join(str(position or "").split())


def count(position: str) -> int:
    """How many transactions a set holds."""
    return sum(last - first + 1 for _, first, last in _intervals(position))


def origins(position: str) -> set[str]:
    """The servers (or groups) that made the transactions of a set."""
    return {uuid for uuid, _, _ in _intervals(position)}


def _intervals(position: str) -> Iterator[tuple[str, int, int]]:
    for part in filter(None, plain(position).split(",")):
        uuid, *rest = part.split(":")
        for piece in rest:
            first, _, last = piece.partition("-")
            # A tag stands between intervals; it begins with a letter or an underscore.
            if first.isdigit():
                yield uuid.lower(), int(first), int(last or first)
