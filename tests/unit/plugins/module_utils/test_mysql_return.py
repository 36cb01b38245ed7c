# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils import mysql_return


class Server:
    """An end of a version, with the names that it knows or uses."""

    def __init__(self, version: str, plugins: Sequence[str], executed: str = "") -> None:
        self.version, self.plugins, self.executed = version, plugins, executed
        self.asked = 0

    def value(self, sql: str, args: Sequence[Any] = ()) -> Any:
        return self.version if "version" in sql else self.executed

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[dict[str, Any]]:
        self.asked += 1
        return [{"n": name} for name in (self.plugins if "plugin" in sql else ["utf8mb4_bin", "int"])]


OLD = ("caching_sha2_password", "mysql_native_password")


def test_within_a_series_nothing_is_asked() -> None:
    local, cluster = Server("8.4.11", OLD), Server("8.4.6", OLD)
    found = mysql_return.look(local, cluster)
    assert not found.limited and found.obstacles == () and cluster.asked == 0


def test_accounts_of_a_plugin_that_the_old_server_lacks_are_named() -> None:
    new = Server("9.7.4", ["Caching_SHA2_password", "auth_socket", "authentication_openid_connect"])
    found = mysql_return.look(Server("8.4.11", OLD), new)
    assert found.limited and found.obstacles == ("authentication by authentication_openid_connect",)


def test_tags_in_gtids_are_unreadable_before_they_were_invented() -> None:
    uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    plain, tagged = f"{uuid}:1-5", f"{uuid}:1-5:app:1-2"
    assert mysql_return.look(Server("8.0.40", OLD), Server("8.4.11", OLD, plain)).obstacles == ()
    assert mysql_return.look(Server("8.0.40", OLD), Server("8.4.11", OLD, tagged)).obstacles == ("tags in GTIDs",)
    assert mysql_return.look(Server("8.4.11", OLD), Server("9.7.4", OLD, tagged)).obstacles == ()
