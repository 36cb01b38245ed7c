# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release of MySQL is copied into which, how, and what that means for the way back.

What holds between two series is the reference manual's, "Upgrade Paths" and "Downgrade Paths": data go by replication
from a long-term series to the next one, and within an innovation series up to the long-term series that ends it. Back
they go the same ways, "for rollback purposes, that is, if no new server functionality has been applied to the data".
"""

from __future__ import annotations

import re

AUTO, PHYSICAL, LOGICAL = "auto", "physical", "logical"
WAYS = (AUTO, PHYSICAL, LOGICAL)

Release = tuple[int, ...]

#: The first release from which a way back by replication is documented and has all that our channels say.
LOWEST: Release = (8, 0, 34)
#: The series in which any two releases can be copied to each other; each one ends the innovation series before it.
_LONG_TERM = ((8, 4), (9, 7))
_BUGFIX = (8, 0)
#: The series that end what came before them.
_ENDS = (_BUGFIX, *_LONG_TERM)


def release(version: str | None) -> Release:
    """The numbers of a version: of C(8.4.11-1debian13) they are 8, 4 and 11."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", version or "")
    return tuple(int(part or 0) for part in match.groups()) if match else ()


def same(source: Release, target: Release) -> bool:
    """Whether two releases are of one series."""
    return source[:2] == target[:2]


def clones(source: Release, target: Release) -> bool:
    """Whether MySQL's clone plugin copies from one release to another one."""
    if source[:2] in _LONG_TERM and same(source, target):
        return True
    # Within 8.0 releases can be mixed since 8.0.37.
    if source[:2] == target[:2] == _BUGFIX and min(source, target) >= (8, 0, 37):
        return True
    return source == target


def replicates(source: Release, target: Release) -> bool:
    """Whether replication is documented from one release to another one and, for a rollback, back again."""
    if same(source, target):
        return True
    if target < source:
        return False
    before, after = _generation(source), _generation(target)
    if before is None or after is None:
        return False
    return before == after or (after == before + 1 and source[:2] in _ENDS and target[:2] in _ENDS)


def way(wanted: str, source: Release, target: Release) -> str:
    """How the data get there, as far as it is known where they go."""
    if wanted != AUTO:
        return wanted
    return PHYSICAL if not target or clones(source, target) else LOGICAL


def obstacle(way: str, source: Release, target: Release) -> str:
    """Why data cannot get there that way, in words; empty where they can."""
    if way == PHYSICAL and not clones(source, target):
        return "a physical copy needs the same long-term series, or the same release, on both ends"
    if way == LOGICAL and not replicates(source, target):
        return (
            "MySQL documents replication, there and back, only within a series, from one long-term series to the next, "
            "and from an innovation series up to the long-term series that ends it"
        )
    return ""


def shown(release: Release) -> str:
    """A series as people write it."""
    return ".".join(map(str, release[:2]))


def _generation(release: Release) -> int | None:
    """Which long-term series a release belongs to or leads to."""
    return next((number for number, end in enumerate(_ENDS) if release[:2] <= end), None)
