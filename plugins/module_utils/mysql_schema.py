# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ends define: tables, views, triggers, routines, events. Compared as the server writes it."""

from __future__ import annotations

import re

from .mysql_client import Connection
from .mysql_digest import ADDED_KEY, quoted
from .mysql_member import SYSTEM_SCHEMAS
from .stores.base import Difference

#: What can be defined in a database, and the question that lists it: triggers in the order in which they fire.
OBJECTS = {
    "table": "SELECT table_schema AS s, table_name AS n FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
    f" AND table_schema NOT IN {SYSTEM_SCHEMAS}",
    "view": "SELECT table_schema AS s, table_name AS n FROM information_schema.views"
    f" WHERE table_schema NOT IN {SYSTEM_SCHEMAS}",
    "trigger": "SELECT trigger_schema AS s, trigger_name AS n FROM information_schema.triggers"
    f" WHERE trigger_schema NOT IN {SYSTEM_SCHEMAS} ORDER BY trigger_schema, event_object_table, action_order",
    "procedure": "SELECT routine_schema AS s, routine_name AS n FROM information_schema.routines"
    f" WHERE routine_type = 'PROCEDURE' AND routine_schema NOT IN {SYSTEM_SCHEMAS}",
    "function": "SELECT routine_schema AS s, routine_name AS n FROM information_schema.routines"
    f" WHERE routine_type = 'FUNCTION' AND routine_schema NOT IN {SYSTEM_SCHEMAS}",
    "event": "SELECT event_schema AS s, event_name AS n FROM information_schema.events"
    f" WHERE event_schema NOT IN {SYSTEM_SCHEMAS}",
}
_SCHEMAS = (
    "SELECT schema_name AS n, default_character_set_name AS charset, default_collation_name AS collation"
    f" FROM information_schema.schemata WHERE schema_name NOT IN {SYSTEM_SCHEMAS}"
)
_ADDED = re.compile(rf"^\s*`{ADDED_KEY}`.*$\n?|^\s*PRIMARY KEY \(`{ADDED_KEY}`\),?$\n?", re.MULTILINE)


def definitions(connection: Connection) -> dict[str, str]:
    """Everything that is defined apart from accounts, by what it is and its name."""
    found = {f"database {row['n']}": f"{row['charset']} {row['collation']}" for row in connection.query(_SCHEMAS)}
    for kind, sql in OBJECTS.items():
        for row in connection.query(sql):
            shown = connection.query(f"SHOW CREATE {kind.upper()} {quoted(row['s'])}.{quoted(row['n'])}")[0]
            text = next(value for name, value in shown.items() if name.lower().startswith(("create ", "sql original")))
            found[f"{kind} {row['s']}.{row['n']}"] = normal(str(text))
    return found


def differences(serving: dict[str, str], standby: dict[str, str]) -> list[Difference]:
    """What is missing, left over or different on the end that follows. Tells no definition: it may hold a secret."""
    found = []
    for name in sorted(serving.keys() | standby.keys()):
        if name not in standby:
            found.append(Difference(name, "it is missing on the end that follows"))
        elif name not in serving:
            found.append(Difference(name, "only the end that follows has it"))
        elif serving[name] != standby[name]:
            found.append(Difference(name, "it is defined differently"))
    return found


def normal(text: str) -> str:
    """A definition without what may differ between equal ends: counters, and a primary key that MySQL added."""
    text = re.sub(r"\sAUTO_INCREMENT=\d+", "", text)
    # An event that came by replication rests until its end serves.
    text = re.sub(r"\s(ENABLE|DISABLE ON (SLAVE|REPLICA))(?=\s|$)", "", text)
    # A collation names its character set; whether that is said, too, depends on how the column was once written.
    text = re.sub(r"\sCHARACTER SET (\w+)(?= COLLATE \1_)", "", text)
    text = _ADDED.sub("", text)
    return re.sub(r",\s*\n\)", "\n)", text)
