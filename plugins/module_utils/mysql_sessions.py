# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is connected to a server, apart from replication and ourselves."""

from __future__ import annotations

from collections.abc import Sequence

from .mysql_link import Link
from .mysql_member import SYSTEM_ACCOUNTS
from .stores.base import Session

_INTERNAL = ("system user", "event_scheduler", *SYSTEM_ACCOUNTS)
#: What a server calls a session that has not told its name yet. It is work in flight, too.
NAMELESS = "unauthenticated user"
_SESSIONS = """
SELECT p.user, p.host, p.command, p.time AS seconds, t.trx_mysql_thread_id IS NOT NULL AS in_transaction
FROM performance_schema.processlist p
LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id
WHERE p.id <> CONNECTION_ID() AND p.command NOT IN ('Daemon', 'Binlog Dump', 'Binlog Dump GTID')
  AND p.user NOT IN ({users})
"""


def clients(server: Link, ours: Sequence[str]) -> list[Session]:
    """The sessions of clients. ``ours`` are the accounts that only the collection uses."""
    users = (*_INTERNAL, *ours)
    rows = server.query(_SESSIONS.format(users=", ".join(["%s"] * len(users))), users)
    return [
        Session(
            account=row["user"] or "",
            address=address_of(row["host"]),
            idle_seconds=float(row["seconds"] or 0) if row["command"] == "Sleep" else 0.0,
            in_transaction=bool(row["in_transaction"]),
        )
        for row in rows
    ]


def own_address(server: Link) -> str:
    """The address that a server sees us come from; it sees everything that comes through the edge come from there."""
    return address_of(server.value("SELECT host FROM performance_schema.processlist WHERE id = CONNECTION_ID()"))


def address_of(host: str | None) -> str:
    """The address in what a process list calls a host: C(address:port), or a name."""
    address, colon, port = (host or "").rpartition(":")
    return address.strip("[]") if colon and port.isdigit() else (host or "")
