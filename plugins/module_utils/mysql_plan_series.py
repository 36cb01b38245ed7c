# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge releases: whether data can get from the source to the members, how, and whether they can come back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import mysql_series as series
from .stores.base import Finding, blocker

if TYPE_CHECKING:
    from .mysql_plan import PlanFacts


def judge_series(facts: PlanFacts) -> Iterable[Finding]:
    """What releases mean for the copy and for the way back."""
    found = list(_versions(facts))
    yield from found
    if not any(one.blocks for one in found):
        yield from _copy(facts)


def member_release(member: Mapping[str, Any]) -> series.Release:
    """The release that a member runs, or would run; empty where that is not known yet."""
    return series.release(_version(member))


def _versions(facts: PlanFacts) -> Iterable[Finding]:
    source = facts.release
    if source < series.LOWEST:
        lowest = ".".join(map(str, series.LOWEST))
        yield blocker(
            "mysql.version.source",
            "source",
            f"Tutor's MySQL is {facts.source.version}, older than {lowest}",
            "upgrade Tutor first, or set DOCKER_IMAGE_MYSQL in it to a newer MySQL",
        )
        return
    for member in facts.members:
        target = member_release(member)
        if not target:
            # A plan changes nothing, so it does not add the repository; the role refuses a series that it cannot use.
            yield Finding(
                "mysql.version.unknown",
                "warning",
                member["host"],
                "which MySQL it would run is known once its repository is added, before anything else is",
                "see that mysql_repository offers the series of the source",
            )
        elif target[:2] < source[:2]:
            yield blocker(
                "mysql.version.lower_target",
                member["host"],
                f"it would run MySQL {_version(member)}, and data of {facts.source.version} cannot go down to it",
                "set mysql_repository and mysql_version to the series of the source",
            )
        elif reason := series.obstacle(facts.way, source, target):
            other = "offload_mysql_copy to auto" if facts.copy == series.PHYSICAL else "the next long-term one"
            yield blocker(
                "mysql.series",
                member["host"],
                f"it would run MySQL {_version(member)}, the source runs {facts.source.version}: {reason}",
                f"set mysql_repository and mysql_version to the series of the source, or {other}",
            )


def _copy(facts: PlanFacts) -> Iterable[Finding]:
    """How a copy that is not physical differs from one that is."""
    if facts.way != series.LOGICAL:
        return
    slower = "row by row, which is slower than a physical one"
    if not facts.target or series.same(facts.release, facts.target):
        yield Finding("mysql.copy", "info", "store", f"the copy is logical, {slower}; the way back is the same")
        return
    older, newer = series.shown(facts.release), series.shown(facts.target)
    yield Finding(
        "mysql.copy",
        "warning",
        "store",
        f"the copy is logical, {slower}, because the series differ, and the way back from {newer} to {older} holds as "
        f"long as nothing uses what {older} lacks: rollback.yml first compares both ends, which takes its time, and is "
        "refused where they differ",
        f"use nothing that is new in {newer} before the commit, or set mysql_repository and mysql_version to {older}",
    )


def _version(member: Mapping[str, Any]) -> str:
    told = member.get("server_version") or member.get("version_installed") or member.get("version_candidate")
    return str(told or "")
