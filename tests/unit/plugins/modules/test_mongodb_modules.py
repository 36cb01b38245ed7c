# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules over a replica set: honest about changes, in check mode too, and quiet about secrets."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_client import MongodbError
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_config import hosts, join_host
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_host import Host
from ansible_collections.tutorops.scale.plugins.modules import mongodb_member_info, mongodb_set

sys.path.insert(0, str(Path(__file__).parents[1] / "module_utils"))
from mongodb_world import LOCAL_HOST, MEMBERS, World


class Way:
    """A way to a server of the world, by key or by an account."""

    def __init__(self, world: World, address: str, port: int, keyfile: str = "", user: str = "", password: str = "",
                 **more: Any) -> None:  # fmt: skip
        assert keyfile == "keysecret" or user
        self._client = world.connect(join_host(address, port))
        self._refused = bool(user) and world.accounts.get(user) != password

    def command(self, *given: Any, **more: Any) -> Any:
        if self._refused:
            raise MongodbError("Authentication failed.", 18)
        return self._client.command(*given, **more)

    def __enter__(self) -> Way:
        return self

    def __exit__(self, *problem: object) -> None:
        """It was open."""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Three empty servers in memory."""
    found = World()
    found.config = {"_id": "", "version": 0, "term": 0, "members": []}
    found.primary = None
    monkeypatch.setattr(mongodb_set, "Client", lambda *given, **more: Way(found, *given, **more))
    # In the world's own time, and one member at a time, because the world knows no threads.
    init = mongodb_set.Cluster.__init__
    inner = {
        "clock": found.clock,
        "wait": found.wait,
        "each": lambda ask, asked: ((host, ask(host)) for host in asked),
    }
    monkeypatch.setattr(mongodb_set.Cluster, "__init__", lambda *given, **more: init(*given, **more, **inner))
    return found


def run(capsys: pytest.CaptureFixture[str], check: bool = False, **options: Any) -> dict[str, Any]:
    members = [{"name": f"data{number}", "address": host.partition(":")[0]} for number, host in enumerate(MEMBERS, 1)]
    given = {
        "members": members,
        "set_name": "tutorops",
        "keyfile": "keysecret",
        "admin_user": "admin",
        "admin_password": "adminsecret",
        "ca": "/ca.pem",
        "timeout": 60,
        **options,
    }
    with patch_module_args({**given, "_ansible_check_mode": check}), pytest.raises(SystemExit):
        mongodb_set.main()
    printed = capsys.readouterr().out
    assert "secret" not in printed
    result: dict[str, Any] = json.loads(printed)
    return result


def test_forming_and_running_again(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, check=True, bootstrap="new")["changed"] is True
    assert not world.config["members"], "check mode changes nothing"
    made = run(capsys, bootstrap="new")
    assert (made["changed"], made["primary"], made["closed"], made["in_service"]) == (True, "data1", False, True)
    assert "data1: UNINITIATED" in made["diff"]["before"] and "data1: PRIMARY" in made["diff"]["after"]
    world.wait(5)
    assert run(capsys, bootstrap="new")["changed"] is False
    assert run(capsys, check=True, bootstrap="new")["changed"] is False


def test_seeding_waits(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for check in (True, False):
        assert run(capsys, check=check, bootstrap="seed")["changed"] is False
    assert not hosts(world.config)


def test_describing_a_closed_cluster(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.config, world.primary = World().config, LOCAL_HOST
    found = run(capsys, state="described")
    assert (found["changed"], found["primary"], found["closed"]) == (False, LOCAL_HOST, True)
    assert [one["name"] for one in found["members"]] == ["data1", "data2", "data3"]


def test_a_refusal_is_a_sentence(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.nodes[MEMBERS[1]].up_at = 1e9
    found = run(capsys, bootstrap="new")
    assert found["failed"] and "data2" in found["msg"]


def test_restarting_and_recovering(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, bootstrap="new")
    world.wait(5)
    assert run(capsys, check=True, state="restarted", restart=["data2"])["changed"] is True
    assert world.restarts == []
    assert run(capsys, state="restarted", restart=["data2"])["changed"] is True
    assert world.restarts == [MEMBERS[1]]
    assert run(capsys, state="restarted")["changed"] is False
    assert run(capsys, state="recovered")["changed"] is False
    world.primary, world.election_due = None, world.now + 10
    assert run(capsys, check=True, state="recovered")["changed"] is True
    assert run(capsys, state="recovered")["changed"] is True


def test_a_host_is_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Any] = []

    class Fake(Host):
        def __init__(self, question: Any) -> None:
            asked.append(question)

        def read(self) -> Any:
            return type("State", (), {"as_dict": lambda self: {"state": "SECONDARY"}})()

    monkeypatch.setattr(mongodb_member_info, "Host", Fake)
    given = {"address": "10.0.0.11", "keyfile": "keysecret", "watched": ["/etc/mongod.conf"]}
    with patch_module_args(given), pytest.raises(SystemExit):
        mongodb_member_info.main()
    printed = capsys.readouterr().out
    assert json.loads(printed)["member"] == {"state": "SECONDARY"} and "keysecret" not in printed
    assert (asked[0].keyfile, asked[0].watched, asked[0].port) == ("keysecret", ("/etc/mongod.conf",), 27017)
