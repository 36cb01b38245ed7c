# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import mysql_accounts
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_accounts import Account
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_schema import differences
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError

OLD, NEW = ("SELECT", "RELOAD", "SET_USER_ID", "BACKUP_ADMIN"), ("SELECT", "RELOAD", "SET_ANY_DEFINER", "BACKUP_ADMIN")
ROOT = Account(
    "root",
    "%",
    "CREATE USER `root`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x11 REQUIRE NONE",
    "",
    (
        "GRANT SELECT, RELOAD ON *.* TO `root`@`%` WITH GRANT OPTION",
        "GRANT SET_USER_ID,BACKUP_ADMIN ON *.* TO `root`@`%` WITH GRANT OPTION",
        "GRANT `boss`@`%` TO `root`@`%`",
    ),
)
APP = Account(
    "o`pen",
    "10.%",
    "CREATE USER `o``pen`@`10.%` IDENTIFIED WITH 'mysql_native_password' AS 0x22 REQUIRE NONE",
    "`boss`@`%`",
    ("GRANT RELOAD ON *.* TO `o``pen`@`10.%`", "GRANT ALL PRIVILEGES ON `openedx`.* TO `o``pen`@`10.%`"),
    (("", "", 1),),
)


class Server:
    """Answers for accounts, and notes what is done to them."""

    def __init__(
        self, accounts: Sequence[Account] = (), privileges: Sequence[str] = NEW, plugins: Sequence[str] = ()
    ) -> None:
        self.accounts, self.known, self.plugins = accounts, privileges, plugins
        self.said: list[tuple[str, tuple[Any, ...]]] = []

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[dict[str, Any]]:
        one = next((each for each in self.accounts if (each.user, each.host) == tuple(args)), None)
        if sql.startswith("SHOW CREATE USER"):
            assert one is not None
            role = f" DEFAULT ROLE {one.roles} REQUIRE" if one.roles else " REQUIRE"
            return [{"CREATE USER": one.create.replace(" REQUIRE", role)}]
        if sql.startswith("SHOW GRANTS"):
            assert one is not None
            return [{"Grants": line} for line in (*one.grants, "GRANT PROXY ON ``@`` TO `x`@`%`")]
        if "proxies_priv" in sql:
            return [
                {"u": each.user, "h": each.host, "pu": user, "ph": host, "g": option}
                for each in self.accounts
                for user, host, option in each.proxies
            ]
        if sql == "SHOW PRIVILEGES":
            return [{"Privilege": name.capitalize()} for name in (*self.known, "Usage", "Proxy", "Grant option")]
        if "information_schema.plugins" in sql:
            return [{"n": name} for name in self.plugins]
        names = [("mysql.sys", "localhost"), ("tutorops_admin", "%"), *((one.user, one.host) for one in self.accounts)]
        return [{"u": user, "h": host} for user, host in names]

    def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        self.said.append((sql, tuple(args)))
        return 0


def test_accounts_are_read_as_they_are_without_ours() -> None:
    assert mysql_accounts.read(Server([ROOT, APP]), ("tutorops_admin",)) == [ROOT, APP]


def test_they_are_made_before_anybody_may_do_anything() -> None:
    target = Server()
    mysql_accounts.make(target, [APP])
    assert target.said == [("DROP USER IF EXISTS %s@%s", ("o`pen", "10.%")), (APP.create, ())]


def test_who_may_do_everything_may_do_so_in_another_series_too() -> None:
    target = Server(privileges=NEW)
    steps = mysql_accounts.grants(target, [ROOT, APP], frozenset(OLD))
    for step in steps:
        step.take()
    assert [sql for sql, _ in target.said] == [
        "GRANT ALL ON *.* TO `root`@`%` WITH GRANT OPTION",
        "GRANT `boss`@`%` TO `root`@`%`",
        *APP.grants,
    ]
    assert steps[-1].label == "a grant to account o`pen@10.%"


def test_a_privilege_that_the_target_does_not_know_is_left_out() -> None:
    target = Server(privileges=NEW)
    for step in mysql_accounts.grants(target, [ROOT], frozenset((*OLD, "SHUTDOWN"))):
        step.take()
    assert [sql for sql, _ in target.said] == [
        "GRANT SELECT, RELOAD ON *.* TO `root`@`%` WITH GRANT OPTION",
        "GRANT BACKUP_ADMIN ON *.* TO `root`@`%` WITH GRANT OPTION",
        "GRANT `boss`@`%` TO `root`@`%`",
    ]


def test_what_rests_on_other_accounts_comes_last() -> None:
    target = Server()
    mysql_accounts.finish(target, [APP])
    assert target.said[0] == ("SET DEFAULT ROLE `boss`@`%` TO `o``pen`@`10.%`", ())
    assert "INSERT INTO mysql.proxies_priv" in target.said[1][0]
    assert target.said[1][1] == ("o`pen", "10.%", "", "", 1)
    assert target.said[2][0] == "FLUSH PRIVILEGES"


def test_a_plugin_that_the_members_lack_is_refused_with_the_cure() -> None:
    mysql_accounts.refuse_plugins(Server(plugins=["caching_sha2_password", "mysql_native_password"]), [ROOT, APP])
    with pytest.raises(StoreError, match=r"o`pen@10.% logs in by mysql_native_password.*update-mysql-authentication"):
        mysql_accounts.refuse_plugins(Server(plugins=["caching_sha2_password"]), [ROOT, APP])


def test_series_differ_in_the_privileges_that_they_know_but_not_in_a_comparison() -> None:
    everything = (
        "GRANT SELECT, RELOAD ON *.* TO `root`@`%` WITH GRANT OPTION",
        "GRANT BACKUP_ADMIN,SET_ANY_DEFINER ON *.* TO `root`@`%` WITH GRANT OPTION",
        "GRANT `boss`@`%` TO `root`@`%`",
    )
    known = frozenset(OLD) & frozenset(NEW)

    def shown(grants: tuple[str, ...]) -> dict[str, str]:
        server = Server([Account(ROOT.user, ROOT.host, ROOT.create, "", grants)])
        return mysql_accounts.shown(server, ("tutorops_admin",), known)

    assert differences(shown(ROOT.grants), shown(everything)) == []
    less = (everything[0].replace(", RELOAD", ""), *everything[1:])
    assert [one.where for one in differences(shown(ROOT.grants), shown(less))] == ["account root@%"]


def test_all_but_ours_can_be_removed() -> None:
    target = Server([ROOT])
    mysql_accounts.drop_all(target, ("tutorops_admin",))
    assert target.said == [("DROP USER %s@%s", ("root", "%"))]
