# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules over a group: honest about changes, in check mode too, and quiet about passwords."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_group import Member
from ansible_collections.tutorops.scale.plugins.modules import mysql_group, mysql_member

sys.path.insert(0, str(Path(__file__).parents[1] / "module_utils"))
from mysql_world import GROUP_NAME, World

ACCOUNTS = {
    "admin_user": "admin",
    "admin_password": "admin-secret",
    "replication_user": "repl",
    "replication_password": "repl-secret",
}
NAMES = ("db1", "db2", "db3")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Servers in memory, reached by both modules."""
    found = World()
    monkeypatch.setattr(mysql_group, "Connection", lambda address, *_, **__: found.connect(Member(address, address)))
    monkeypatch.setattr(mysql_member, "Connection", lambda **_: found.connect(Member("db1", "db1")))
    # In the world's own time, and one member at a time, because the world knows no threads.
    init = mysql_group.Group.__init__
    more = {"clock": found.clock, "wait": found.wait, "each": map}
    monkeypatch.setattr(mysql_group.Group, "__init__", lambda *args: init(*args, **more))
    return found


def run(capsys: pytest.CaptureFixture[str], module: Any, check: bool = False, **options: Any) -> dict[str, Any]:
    """What a module returns."""
    with patch_module_args({**ACCOUNTS, **options, "_ansible_check_mode": check}), pytest.raises(SystemExit):
        module.main()
    printed = capsys.readouterr().out
    assert "secret" not in printed
    result: dict[str, Any] = json.loads(printed)
    return result


def group(capsys: pytest.CaptureFixture[str], check: bool = False, **options: Any) -> dict[str, Any]:
    members = [{"name": name, "address": name} for name in NAMES]
    options = {"members": members, "group_name": GROUP_NAME, "ca": "/ca.pem", **options}
    return run(capsys, mysql_group, check, **options)


def test_forming_and_running_again(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert group(capsys, check=True, bootstrap="new")["changed"] is True
    assert not world.bootstraps, "check mode changes nothing"
    made = group(capsys, bootstrap="new")
    assert (made["changed"], made["primary"], made["closed"], made["in_service"]) == (True, "db1", False, True)
    assert "db3: OFFLINE" in made["diff"]["before"] and "db3: ONLINE SECONDARY" in made["diff"]["after"]
    assert group(capsys, bootstrap="new")["changed"] is False
    assert group(capsys, check=True, bootstrap="new")["changed"] is False


def test_seeding_prepares_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert group(capsys, check=True, bootstrap="seed")["changed"] is True
    assert group(capsys, bootstrap="seed")["changed"] is True
    assert group(capsys, bootstrap="seed")["changed"] is False
    assert group(capsys, check=True, bootstrap="seed")["changed"] is False
    assert not world.bootstraps


def test_describing_what_is_down(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.servers["db2"].up = False
    found = group(capsys, state="described")
    assert (found["changed"], found["primary"], found["closed"]) == (False, None, None)
    assert [one["reachable"] for one in found["members"]] == [True, False, True]


def test_describing_what_the_health_endpoints_say(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    group(capsys, bootstrap="new")
    states = {"db1": "ONLINE", "db2": "ONLINE", "db3": None}
    monkeypatch.setattr(mysql_group, "await_endpoints", lambda members, port, expected: states)
    found = group(capsys, state="described", health_port=9200)
    assert found["health_differs"] == ["db3"]
    assert [one["health"] for one in found["members"]] == ["ONLINE", "ONLINE", None]
    assert "health_differs" not in group(capsys, state="described")


def test_a_refusal_is_a_sentence(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.servers["db2"].up = False
    found = group(capsys, bootstrap="new")
    assert found["failed"] and "db2" in found["msg"]


def test_restarting_and_recovering(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    group(capsys, bootstrap="new")
    world.write()
    assert group(capsys, state="restarted", restart=["db2"])["changed"] is True
    assert [server.process for server in world.servers.values()] == [1, 2, 1]
    assert group(capsys, state="recovered")["changed"] is False
    for name in NAMES:
        world.kill(name)
    for name in NAMES:
        world.start(name)
    assert group(capsys, check=True, state="recovered")["changed"] is True
    assert group(capsys, state="recovered")["changed"] is True


def test_accounts_are_made_once_and_not_in_service(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, mysql_member, check=True)["changed"] is True
    assert not world.servers["db1"].accounts
    assert run(capsys, mysql_member)["changed"] is True
    assert run(capsys, mysql_member)["changed"] is False
    group(capsys, bootstrap="new")
    world.servers["db1"].accounts.clear()
    assert run(capsys, mysql_member)["changed"] is False
