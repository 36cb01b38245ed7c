# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back from a cluster of a newer series: what holds, and what stands in its way.

MySQL documents replication back to the series before "for rollback purposes, that is, if no new server functionality
has been applied to the data". So what the old server does not know is looked for on the cluster, by asking the old
server, and a flip back is not tried before a comparison has proved that all writes arrived there as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import mysql_series as series
from .mysql_accounts import LOGIN_PLUGINS
from .mysql_link import Link
from .mysql_member import SYSTEM_SCHEMAS
from .stores.base import StoreError

_SHOWN = 5
#: Types of columns, by the first release that has them.
_TYPES = {"vector": (9, 0)}
#: Tags in GTIDs, which older servers cannot read at all.
_TAGS: series.Release = (8, 3)
_TAG = re.compile(r":[a-z_]", re.IGNORECASE)
_COLLATIONS = (
    "SELECT DISTINCT collation_name AS n FROM information_schema.columns WHERE collation_name IS NOT NULL"
    f" AND table_schema NOT IN {SYSTEM_SCHEMAS}"
    " UNION SELECT table_collation FROM information_schema.tables WHERE table_collation IS NOT NULL"
    f" AND table_schema NOT IN {SYSTEM_SCHEMAS}"
    " UNION SELECT default_collation_name FROM information_schema.schemata"
    f" WHERE schema_name NOT IN {SYSTEM_SCHEMAS}"
)
#: Plugins of the accounts that the members have from the collection; they never reach the old server.
_OURS = frozenset({"auth_socket"})


@dataclass(frozen=True)
class Return:
    """The two releases, and what the cluster holds that the old server does not know."""

    older: series.Release
    newer: series.Release
    obstacles: tuple[str, ...] = ()

    @property
    def limited(self) -> bool:
        """Whether the way back leads into another series."""
        return not series.same(self.older, self.newer)

    def told(self) -> str:
        """What an operator has to know of it."""
        older, newer = series.shown(self.older), series.shown(self.newer)
        return (
            f"from MySQL {newer} back to {older}, for a rollback only: as long as nothing uses what {older} lacks, and "
            "after a comparison"
        )


def look(local: Link, cluster: Link) -> Return:
    """Read both ends."""
    older, newer = (series.release(str(end.value("SELECT @@version"))) for end in (local, cluster))
    if series.same(older, newer):
        return Return(older, newer)
    return Return(older, newer, tuple(_unknown(local, cluster, older)))


def refuse(local: Link, cluster: Link) -> bool:
    """Refuse a way back that something stands in; says whether it wants a comparison first."""
    found = look(local, cluster)
    if found.obstacles:
        raise StoreError(
            f"the cluster of store mysql uses what MySQL {series.shown(found.older)} on the local end does not know"
            f" ({'; '.join(found.obstacles)}): take that back, then compare both ends and roll back"
        )
    return found.limited


def _unknown(local: Link, cluster: Link, older: series.Release) -> list[str]:
    collations = _names(cluster, _COLLATIONS) - _names(
        local, "SELECT collation_name AS n FROM information_schema.collations"
    )
    plugins = _names(cluster, "SELECT DISTINCT plugin AS n FROM mysql.user WHERE user NOT LIKE 'mysql.%'")
    plugins -= _names(local, LOGIN_PLUGINS) | _OURS
    types = _names(
        cluster,
        f"SELECT DISTINCT data_type AS n FROM information_schema.columns WHERE table_schema NOT IN {SYSTEM_SCHEMAS}",
    )
    new = {kind for kind, since in _TYPES.items() if older < since}
    found = [
        f"{what} {', '.join(sorted(names)[:_SHOWN])}"
        for what, names in (("collations", collations), ("types", types & new), ("authentication by", plugins))
        if names
    ]
    if older < _TAGS and _TAG.search(str(cluster.value("SELECT @@global.gtid_executed"))):
        found.append("tags in GTIDs")
    return found


def _names(server: Link, sql: str) -> set[str]:
    return {str(row["n"]).lower() for row in server.query(sql)}
