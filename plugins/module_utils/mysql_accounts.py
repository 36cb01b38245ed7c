# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts with their secrets and privileges, as a server shows them: read, made on another server, and compared.

Series differ in the privileges that they know. One that a server does not know cannot be granted there, and says
nothing in a comparison. Who may do everything on one server may do everything on the other one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from .mysql_client import Connection
from .mysql_digest import quoted
from .mysql_member import SYSTEM_ACCOUNTS
from .mysql_objects import Step
from .stores.base import StoreError

#: The plugins by which accounts can log in to a server.
LOGIN_PLUGINS = (
    "SELECT plugin_name AS n FROM information_schema.plugins WHERE plugin_type = 'AUTHENTICATION'"
    " AND plugin_status = 'ACTIVE'"
)
_ROLE = r"`(?:[^`]|``)*`@`(?:[^`]|``)*`"
_DEFAULT_ROLE = re.compile(rf" DEFAULT ROLE ({_ROLE}(?:,{_ROLE})*)")
_GLOBAL = re.compile(r"(GRANT|REVOKE) (.+) ON \*\.\* ((?:TO|FROM) .+)", re.DOTALL)
_PROXY = "GRANT PROXY ON "
_OPTION = " WITH GRANT OPTION"
#: They are in each list, and are granted by other words.
_NOT_GRANTED = frozenset({"USAGE", "PROXY", "GRANT OPTION"})


@dataclass(frozen=True)
class Account:
    """One account. ``create`` holds its secret, hashed."""

    user: str
    host: str
    create: str
    roles: str
    grants: tuple[str, ...]
    proxies: tuple[tuple[str, str, int], ...] = ()

    @property
    def label(self) -> str:
        """Its name for people."""
        return f"{self.user}@{self.host}"

    @property
    def sql(self) -> str:
        """Its name for a statement."""
        return f"{quoted(self.user)}@{quoted(self.host)}"


def read(connection: Connection, ours: Collection[str]) -> list[Account]:
    """All accounts but the server's and ``ours``, by name."""
    connection.execute("SET SESSION print_identified_with_as_hex = ON")
    skip = {*SYSTEM_ACCOUNTS, *ours}
    proxies: dict[tuple[str, str], list[tuple[str, str, int]]] = {}
    for row in connection.query(
        "SELECT user AS u, host AS h, proxied_user AS pu, proxied_host AS ph, with_grant AS g FROM mysql.proxies_priv"
        " ORDER BY 1, 2, 3, 4"
    ):
        proxies.setdefault((row["u"], row["h"]), []).append((row["pu"], row["ph"], int(row["g"])))
    found = []
    for row in connection.query("SELECT user AS u, host AS h FROM mysql.user ORDER BY 1, 2"):
        name = row["u"], row["h"]
        if row["u"] in skip:
            continue
        create = str(next(iter(connection.query("SHOW CREATE USER %s@%s", name)[0].values())))
        grants = [str(next(iter(line.values()))) for line in connection.query("SHOW GRANTS FOR %s@%s", name)]
        default = _DEFAULT_ROLE.search(create)
        found.append(
            Account(
                *name,
                create=_DEFAULT_ROLE.sub("", create, count=1),
                roles=default[1] if default else "",
                grants=tuple(line for line in grants if not line.startswith(_PROXY)),
                proxies=tuple(proxies.get(name, ())),
            )
        )
    return found


def privileges(connection: Connection) -> frozenset[str]:
    """The privileges that a server knows."""
    rows = connection.query("SHOW PRIVILEGES")
    return frozenset(str(row["Privilege"]).upper() for row in rows) - _NOT_GRANTED


def shown(connection: Connection, ours: Collection[str], known: Collection[str]) -> dict[str, str]:
    """What a comparison looks at, by name; privileges that are not ``known`` on both ends are left out."""
    return {
        f"account {one.label}": "\n".join(
            [one.create, one.roles, *sorted(_restricted(one.grants, known)), *map(str, one.proxies)]
        )
        for one in read(connection, ours)
    }


def refuse_plugins(target: Connection, accounts: Iterable[Account]) -> None:
    """Refuse accounts that could not log in on the target."""
    active = {str(row["n"]) for row in target.query(LOGIN_PLUGINS)}
    for one in accounts:
        used = re.search(r" IDENTIFIED WITH '([^']+)'", one.create)
        if used and used[1] not in active:
            raise StoreError(
                f"account {one.label} logs in by {used[1]}, which the cluster's members do not offer: give it a new "
                "password with caching_sha2_password (`tutor local do update-mysql-authentication-plugin`), or, with "
                "MySQL 8.4, set mysql_native_authentication=true"
            )


def make(target: Connection, accounts: Iterable[Account]) -> None:
    """Make accounts anew, which may not do anything yet."""
    for one in accounts:
        target.execute("DROP USER IF EXISTS %s@%s", (one.user, one.host))
        target.execute(one.create)


def grants(target: Connection, accounts: Sequence[Account], theirs: Collection[str]) -> list[Step]:
    """The steps that give them what they had; ``theirs`` are the privileges that their own server knows."""
    known = privileges(target)
    return [
        Step(f"a grant to account {one.label}", partial(target.execute, line))
        for one in accounts
        for line in _all(one, theirs) or _restricted(one.grants, known)
    ]


def finish(target: Connection, accounts: Sequence[Account]) -> None:
    """Give them what rests on other accounts."""
    for one in accounts:
        if one.roles:
            target.execute(f"SET DEFAULT ROLE {one.roles} TO {one.sql}")
        for user, host, option in one.proxies:
            # Nobody can grant this but root at the server itself.
            target.execute(
                "INSERT INTO mysql.proxies_priv (user, host, proxied_user, proxied_host, with_grant, grantor,"
                " timestamp) VALUES (%s, %s, %s, %s, %s, '', NOW())",
                (one.user, one.host, user, host, option),
            )
    target.execute("FLUSH PRIVILEGES")


def drop_all(target: Connection, ours: Collection[str]) -> None:
    """Remove all accounts but the server's and ``ours``."""
    skip = {*SYSTEM_ACCOUNTS, *ours}
    for row in target.query("SELECT user AS u, host AS h FROM mysql.user"):
        if row["u"] not in skip:
            target.execute("DROP USER %s@%s", (row["u"], row["h"]))


def _all(account: Account, theirs: Collection[str]) -> list[str]:
    """The grants of an account that may do everything, or nothing for any other."""
    lines = {line: _GLOBAL.fullmatch(line) for line in account.grants}
    everywhere = [found for found in lines.values() if found is not None]
    held = {name for found in everywhere for name in _listed(found[2])}
    options = {found[3].endswith(_OPTION) for found in everywhere}
    if not theirs or not set(theirs) <= held or len(options) > 1 or any(found[1] != "GRANT" for found in everywhere):
        return []
    option = _OPTION if options == {True} else ""
    return [f"GRANT ALL ON *.* TO {account.sql}{option}", *(line for line, found in lines.items() if found is None)]


def _restricted(grants: Iterable[str], known: Collection[str]) -> list[str]:
    """Grants without privileges that are not known."""
    lines = []
    for line in grants:
        found = _GLOBAL.fullmatch(line)
        if found is None:
            lines.append(line)
            continue
        # In the order in which it came: that is the same on each server.
        kept = [name for name in re.split(r",\s*", found[2]) if name.upper() in known or name.upper() == "USAGE"]
        if kept:
            lines.append(f"{found[1]} {', '.join(kept)} ON *.* {found[3]}")
    return lines


def _listed(text: str) -> set[str]:
    return {name.upper() for name in re.split(r",\s*", text)}
