# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is added to Tutor's container, online, and that it can be taken away again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_facts import read_source
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_local import LocalEnd
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_settings import MysqlSettings
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_source import MysqlSource
from platform_data import fill
from servers import Site, await_true, docker


def quiet(phase: str, figures: dict[str, Any]) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("source"))
    try:
        made.start(members=())
        with made.root("source") as connection:
            fill(connection, bulk=64)
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def end(site: Site) -> LocalEnd:
    return LocalEnd(MysqlSettings.from_dict(site.settings()))


@pytest.fixture(scope="module")
def source(site: Site, end: LocalEnd) -> MysqlSource:
    return MysqlSource(MysqlSettings.from_dict(site.settings()), end)


def test_both_ways_to_read_it_tell_the_same(site: Site, source: MysqlSource) -> None:
    inside = read_source(source.reader())
    with site.root("source") as connection:
        outside = read_source(connection)
    assert inside == outside
    assert inside.keyless_tables == ["openedx.keyless"]
    assert inside.databases == {"notes": "utf8mb4_unicode_ci", "openedx": "utf8mb4_unicode_ci"}
    assert inside.events == ["openedx.tidy"]
    assert inside.missing_privileges == inside.other_engines == inside.missing_definers == inside.added_plugins == []


def test_it_is_made_ready_once(source: MysqlSource, end: LocalEnd) -> None:
    assert not source.prepared()
    assert source.prepare(quiet)
    assert source.prepared()
    assert end.server.value("SELECT @@global.gtid_executed")
    assert not source.prepare(quiet)


def test_it_stays_ready_over_a_restart(site: Site, source: MysqlSource, end: LocalEnd) -> None:
    docker("restart", site.container("source"))
    await_true(source.prepared, "the source")
    assert not source.prepare(quiet)


def test_a_fence_holds_against_everybody_and_over_a_restart(site: Site, end: LocalEnd) -> None:
    end.close(3.0)
    assert end.closed()
    with site.root("source") as root, pytest.raises(Exception, match="super-read-only"):
        root.execute("CREATE DATABASE intruder")
    with pytest.raises(Exception, match="offline mode"):
        site.app("source")
    docker("restart", site.container("source"))
    await_true(end.closed, "the fenced source")
    end.open()
    site.app("source").execute("INSERT INTO openedx.entries (number) VALUES (1)")
    docker("restart", site.container("source"))
    await_true(lambda: not end.closed(), "the open source")
    site.app("source").execute("INSERT INTO openedx.entries (number) VALUES (2)")


def test_it_is_left_as_it_was_found(site: Site, source: MysqlSource) -> None:
    assert source.undo()
    with site.root("source") as root:
        assert root.value("SELECT @@global.gtid_mode") == "OFF"
        assert root.value("SELECT COUNT(*) FROM performance_schema.persisted_variables") == 0
        assert root.value("SELECT COUNT(*) FROM mysql.user WHERE user LIKE 'tutorops%'") == 0
        assert root.value("SELECT @@global.ssl_cert") == "server-cert.pem"
        assert root.value("SELECT COUNT(*) FROM information_schema.plugins WHERE plugin_name = 'clone'") == 0
    assert "tutorops" not in docker("exec", site.container("source"), "ls", "/var/lib/mysql")
    assert not source.undo()
