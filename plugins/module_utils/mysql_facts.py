# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan has to know about the MySQL that Tutor runs. Reads only, by a connection of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .mysql_member import SYSTEM_SCHEMAS
from .mysql_sessions import address_of


class Reader(Protocol):
    """What can be asked: a connection, a link, or the client inside the container, which gives text only."""

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a statement."""


@dataclass(frozen=True)
class SourceFacts:
    """Tutor's MySQL as it is. Tables, programs and accounts are named as an operator would: ``database.name``."""

    version: str
    variables: dict[str, str]
    databases: dict[str, str]
    bytes: int
    keyless_tables: list[str]
    other_engines: list[str]
    accounts: dict[str, str]
    missing_definers: list[str]
    events: list[str]
    added_plugins: list[str]
    missing_privileges: list[str]
    clients: list[str]
    replicas: list[str]
    known_accounts: list[str]


_VARIABLES = (
    "binlog_format",
    "binlog_row_image",
    "character_set_server",
    "collation_server",
    "enforce_gtid_consistency",
    "gtid_mode",
    "innodb_page_size",
    "log_bin",
    "lower_case_table_names",
    "super_read_only",
)
_NEEDED = (
    "CREATE USER",
    "PROCESS",
    "RELOAD",
    "REPLICATION CLIENT",
    "SYSTEM_VARIABLES_ADMIN",
    "CLONE_ADMIN",
    "BACKUP_ADMIN",
)
#: Plugins that every server has, or that the cluster's members load, too.
_COMMON_PLUGINS = ("clone", "group_replication", "auth_socket", "mysqlx", "mysqlx_cache_cleaner")
_DEFINED = """
SELECT CONCAT(table_schema, '.', table_name) AS name, definer AS definer FROM information_schema.views
  WHERE table_schema NOT IN {0}
UNION ALL SELECT CONCAT(routine_schema, '.', routine_name), definer FROM information_schema.routines
  WHERE routine_schema NOT IN {0}
UNION ALL SELECT CONCAT(trigger_schema, '.', trigger_name), definer FROM information_schema.triggers
  WHERE trigger_schema NOT IN {0}
UNION ALL SELECT CONCAT(event_schema, '.', event_name), definer FROM information_schema.events
  WHERE event_schema NOT IN {0}
"""


def read_source(reader: Reader, ours: Sequence[str] = ()) -> SourceFacts:
    """Read everything. ``ours`` are the accounts of the collection; their sessions are no clients."""
    accounts = {f"{row['u']}@{row['h']}": row["p"] for row in reader.query(
        "SELECT user AS u, host AS h, plugin AS p FROM mysql.user WHERE user NOT LIKE 'mysql.%'")}  # fmt: skip
    sessions = reader.query(
        "SELECT user AS u, host AS h, command AS c FROM performance_schema.processlist"
        " WHERE id <> CONNECTION_ID() AND command NOT IN ('Daemon', 'Connect')"
    )
    tables = reader.query(
        "SELECT CONCAT(t.table_schema, '.', t.table_name) AS name, t.engine AS engine,"
        " EXISTS (SELECT 1 FROM information_schema.table_constraints k WHERE k.table_schema = t.table_schema"
        " AND k.table_name = t.table_name AND k.constraint_type = 'PRIMARY KEY') AS has_key"
        " FROM information_schema.tables t WHERE t.table_type = 'BASE TABLE' AND t.table_schema NOT IN "
        f"{SYSTEM_SCHEMAS}"
        " ORDER BY 1"
    )
    return SourceFacts(
        version=_one(reader, "SELECT VERSION() AS v"),
        variables=_variables(reader),
        databases={
            row["n"]: row["c"]
            for row in reader.query(
                "SELECT schema_name AS n, default_collation_name AS c FROM information_schema.schemata"
                f" WHERE schema_name NOT IN {SYSTEM_SCHEMAS} ORDER BY 1"
            )
        },
        bytes=int(_one(reader, "SELECT COALESCE(SUM(file_size), 0) AS v FROM information_schema.innodb_tablespaces")),
        keyless_tables=[row["name"] for row in tables if not int(row["has_key"])],
        other_engines=[f"{row['name']} ({row['engine']})" for row in tables if row["engine"] != "InnoDB"],
        accounts=accounts,
        missing_definers=[
            f"{row['name']} ({row['definer']})"
            for row in reader.query(_DEFINED.format(SYSTEM_SCHEMAS))
            if row["definer"] not in accounts and not row["definer"].startswith("mysql.")
        ],
        events=[
            row["n"]
            for row in reader.query(
                "SELECT CONCAT(event_schema, '.', event_name) AS n FROM information_schema.events"
                f" WHERE status = 'ENABLED' AND event_schema NOT IN {SYSTEM_SCHEMAS} ORDER BY 1"
            )
        ],
        added_plugins=[
            row["n"]
            for row in reader.query(
                "SELECT plugin_name AS n FROM information_schema.plugins"
                " WHERE plugin_status = 'ACTIVE' AND plugin_library IS NOT NULL ORDER BY 1"
            )
            if row["n"].lower() not in _COMMON_PLUGINS
        ],
        missing_privileges=_missing_privileges(reader),
        clients=sorted(
            {
                f"{row['u']} from {address_of(row['h'])}"
                for row in sessions
                if "Binlog Dump" not in row["c"] and row["u"] not in (*ours, "system user", "event_scheduler")
            }
        ),
        replicas=[row["u"] for row in sessions if "Binlog Dump" in row["c"]],
        known_accounts=[user for user in ours if any(name.startswith(f"{user}@") for name in accounts)],
    )


def _one(reader: Reader, sql: str) -> str:
    return str(reader.query(sql)[0]["v"])


def _variables(reader: Reader) -> dict[str, str]:
    names = ", ".join(f"'{name}'" for name in _VARIABLES)
    rows = reader.query(
        "SELECT variable_name AS n, variable_value AS v FROM performance_schema.global_variables"
        f" WHERE variable_name IN ({names})"
    )
    return {row["n"]: row["v"] for row in rows}


def _missing_privileges(reader: Reader) -> list[str]:
    rows = reader.query(
        "SELECT privilege_type AS p FROM information_schema.user_privileges"
        " WHERE grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')"
    )
    held = {row["p"] for row in rows}
    return [name for name in _NEEDED if name not in held]
