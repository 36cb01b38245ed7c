# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one restart of the container: refused in time, held, begun again after any interruption, and undone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import mongodb_prepare
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_client import MongodbError
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_node import NodeState
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_prepare import Prepare, keep_out, series
from ansible_collections.tutorops.scale.plugins.module_utils.netns import Gate, NetworkError
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import Busy, StoreError, Unreachable
from mongodb_site import settings
from mongodb_world import LOCAL_HOST, MEMBERS


class Death(BaseException):
    """The process that runs the stage is gone."""


@dataclass
class Site:
    """A container, members, requests and a platform, and what became of them."""

    state: str = "STANDALONE"
    set_name: str = ""
    rendered: bool = True
    member_state: str = "UNINITIATED"
    member_version: str = "7.0.28"
    silent: str = ""
    identity: str = "process-1"
    named: str = "process-1"
    unreachable: str = ""
    starts: bool = True
    refuses: str = ""
    busy: int = 0
    dies_at: str = ""
    now: float = 0.0
    files: bool = False
    accounts: bool = False
    leftovers: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    held: bool = False

    def step(self, what: str) -> None:
        self.log.append(what)
        self.now += 0.1
        if what == self.dies_at:
            raise Death(what)

    # Time

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)

    # The container (mongodb_local.LocalNode) and a way to it

    def place_files(self) -> bool:
        changed, self.files = not self.files, True
        return changed

    def remove_files(self) -> bool:
        changed, self.files = self.files, False
        return changed

    def make_accounts(self) -> bool:
        changed, self.accounts = not self.accounts, True
        self.step("accounts")
        return changed

    def drop_accounts(self) -> bool:
        changed, self.accounts = self.accounts, False
        return changed

    def state_of(self) -> NodeState:
        if self.state == "DOWN":
            return NodeState(LOCAL_HOST, reachable=False, error="it does not answer")
        return NodeState(LOCAL_HOST, True, "", self.state, self.set_name, self.state == "PRIMARY", "7.0.28")

    def address(self) -> str:
        return "172.18.0.5"

    def gateways(self) -> list[str]:
        return ["172.18.0.1"]

    def let_go(self) -> None:
        """Forget the way."""

    def client(self) -> Any:
        if self.state == "DOWN":
            raise Unreachable("it does not answer")
        return self

    def aggregate(self, pipeline: Any, database: str = "admin") -> list[dict[str, Any]]:
        self.busy = max(self.busy - 1, 0)
        one = {"client": "172.18.0.7:1", "active": True, "op": "insert", "ns": "x.y", "command": {"insert": 1}}
        return [one] if self.busy else []

    def command(self, name: str, value: Any = 1, database: str = "admin", **options: Any) -> dict[str, Any]:
        if self.state == "DOWN":
            raise Unreachable("it does not answer")
        if name == "hello":
            return {"isWritablePrimary": self.state == "PRIMARY", "topologyVersion": {"processId": self.identity}}
        if name == "replSetInitiate":
            self.step("initiate")
            if self.state == "PRIMARY":
                raise MongodbError("already initialized", 23)
            assert value["members"][0]["host"] == LOCAL_HOST and value["_id"] == "tutorops"
            self.state, self.set_name = "PRIMARY", "tutorops"
            self.leftovers = ["oplog.rs", "system.replset", "startup_log"]
        if name == "listDatabases":
            return {"databases": [{"name": "local"}] if self.leftovers else []}
        if name == "listCollections":
            return {"cursor": {"firstBatch": [{"name": one} for one in self.leftovers]}}
        return {}

    def drop_database(self, name: str) -> None:
        assert name == "local"
        self.leftovers = []

    # Requests

    def hold(self, seconds: float) -> None:
        self.step("hold")
        self.held = True

    def drained(self) -> bool:
        return True

    def release(self) -> None:
        self.log.append("release")
        self.held = False

    # The platform (mongodb_platform.Platform)

    def is_rendered(self) -> bool:
        return self.rendered

    def refuse_command(self) -> None:
        if self.refuses:
            raise StoreError(self.refuses)

    def running_command(self) -> list[str]:
        return ["mongod", "--storageEngine", "wiredTiger"]

    def app(self) -> Any:
        return type("Instance", (), {"pid": 1, "name": "tutor_local-lms-1"})()

    def recreate(self, command: Sequence[str] | None = None) -> None:
        assert self.held, "nobody may restart the container while requests pass"
        self.step("recreate" if command is None else "give back")
        if command is None and not self.starts:
            self.state = "DOWN"
        elif command is not None or not self.rendered:
            self.state, self.set_name = "STANDALONE", ""
        else:
            self.state, self.set_name = ("UNINITIATED", "") if not self.leftovers else ("PRIMARY", "tutorops")

    # The members

    def look(self, hosts: Sequence[str]) -> list[NodeState]:
        return [
            NodeState(host, False, "no answer")
            if host == self.silent
            else NodeState(host, True, "", self.member_state, "", False, self.member_version)
            for host in hosts
        ]

    def reach(self, pid: int, host: str, container: str) -> str:
        if host == self.unreachable:
            raise StoreError(f"container {container} does not reach MongoDB at {host}")
        return self.named

    @contextlib.contextmanager
    def keeper(self, friends: Sequence[str]) -> Iterator[None]:
        assert list(friends) == ["172.18.0.1"]
        self.log.append("keep out")
        yield
        self.log.append("let in")

    def prepare(self, folder: Path) -> Prepare:
        local = type("Local", (), {})()
        for name in ("place_files", "remove_files", "make_accounts", "drop_accounts", "address", "gateways", "let_go",
                     "client"):  # fmt: skip
            setattr(local, name, getattr(self, name))
        local.state = self.state_of
        platform = type("Platform", (), {})()
        for name in ("refuse_command", "running_command", "recreate"):
            setattr(platform, name, getattr(self, name))
        platform.rendered, platform.client = self.is_rendered, self.app
        return Prepare(
            settings(folder), local, self, self, lambda: platform, self.keeper, self.reach, self.clock, self.wait)  # type: ignore[arg-type]  # fmt: skip


def quiet(phase: str, figures: dict[str, Any]) -> None:
    """Nobody listens."""


@pytest.fixture(autouse=True)
def listening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody listens on the container's port; whether it answers is the site's matter."""

    class Channel:
        def close(self) -> None:
            """It was open."""

    monkeypatch.setattr(mongodb_prepare.socket, "create_connection", lambda *given, **more: Channel())


def test_the_container_becomes_the_first_member_under_a_hold(tmp_path: Path) -> None:
    site = Site()
    done = site.prepare(tmp_path).run(quiet)
    assert done["changed"] and 0 < float(str(done["stall_seconds"])) < 2
    assert site.log == ["hold", "keep out", "recreate", "initiate", "let in", "release", "accounts"]
    assert site.files and site.accounts and not site.held


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    site = Site()
    site.prepare(tmp_path).run(quiet)
    site.log.clear()
    assert site.prepare(tmp_path).run(quiet) == {"changed": False, "stall_seconds": 0.0}
    assert site.log == ["accounts"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"rendered": False}, "has not rendered MongoDB as a member of a set yet"),
    ({"silent": MEMBERS[1]}, f"member {MEMBERS[1]} cannot be asked"),
    ({"member_state": "SECONDARY"}, "is not empty, it is SECONDARY of a set"),
    ({"member_state": "REMOVED"}, "is not empty, it is REMOVED"),
    ({"member_version": "6.0.27"}, "runs MongoDB 6.0.27 and Tutor 7.0.28"),
    ({"unreachable": LOCAL_HOST}, f"does not reach MongoDB at {LOCAL_HOST}"),
    ({"unreachable": MEMBERS[2]}, f"does not reach MongoDB at {MEMBERS[2]}"),
    ({"named": "process-2"}, "does not lead to Tutor's MongoDB but to another one"),
    ({"refuses": "MongoDB refuses the command"}, "refuses the command"),
    ({"state": "DOWN"}, "Tutor's MongoDB cannot be asked"),
    ({"state": "PRIMARY", "set_name": "other"}, "a member of the set other, not of tutorops"),
]


@pytest.mark.parametrize(("wrong", "said"), REFUSED)
def test_what_cannot_work_is_refused_before_anything_waits(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    site = Site(**wrong)
    with pytest.raises(StoreError, match=said):
        site.prepare(tmp_path).run(quiet)
    assert "hold" not in site.log and "recreate" not in site.log


def test_operations_that_do_not_end_are_waited_for_a_few_times(tmp_path: Path) -> None:
    site = Site(busy=10**9)
    told: list[str] = []
    with pytest.raises(Busy, match="MongoDB was not restarted"):
        site.prepare(tmp_path).run(lambda phase, figures: told.append(phase))
    assert told.count("postponed") == 9 and site.log.count("hold") == site.log.count("release") == 10
    assert "recreate" not in site.log and site.state == "STANDALONE"


def test_operations_that_end_let_it_go_on(tmp_path: Path) -> None:
    site = Site(busy=50)
    assert site.prepare(tmp_path).run(quiet)["changed"]


def test_a_container_that_does_not_start_gets_its_command_back(tmp_path: Path) -> None:
    site = Site(starts=False)
    with pytest.raises(StoreError, match="runs as before"):
        site.prepare(tmp_path).run(quiet)
    assert site.state == "STANDALONE" and not site.held
    assert site.log == ["hold", "keep out", "recreate", "give back", "let in", "release"] or site.log[:4] == [
        "hold", "keep out", "recreate", "give back"]  # fmt: skip


@pytest.mark.parametrize("step", ["hold", "recreate", "initiate", "accounts"])
def test_a_death_at_any_step_is_made_up_for(tmp_path: Path, step: str) -> None:
    site = Site(dies_at=step)
    with pytest.raises(Death):
        site.prepare(tmp_path).run(quiet)
    site.dies_at = ""
    if step == "recreate":
        # Compose, told to, goes on without whoever told it.
        site.state = "UNINITIATED"
    restarts = site.log.count("recreate")
    site.prepare(tmp_path).run(quiet)
    assert site.state == "PRIMARY" and site.accounts and site.files
    assert site.log.count("recreate") == max(restarts, 1)


def test_it_is_undone_when_tutor_is_as_it_was(tmp_path: Path) -> None:
    site = Site()
    site.prepare(tmp_path).run(quiet)
    with pytest.raises(StoreError, match="restore its configuration first"):
        site.prepare(tmp_path).undo(quiet)
    site.rendered = False
    site.log.clear()
    done = site.prepare(tmp_path).undo(quiet)
    assert done["changed"] and site.log == ["hold", "recreate", "release"]
    assert (site.state, site.files, site.accounts, site.leftovers) == ("STANDALONE", False, False, [])
    assert site.prepare(tmp_path).undo(quiet) == {"changed": False, "stall_seconds": 0.0}


def test_a_container_that_remembers_a_set_forgets_it(tmp_path: Path) -> None:
    """As after a death between the restart and the rest."""
    site = Site(rendered=False, files=True, leftovers=["system.replset"])
    assert site.prepare(tmp_path).undo(quiet)["changed"]
    assert not site.leftovers and not site.files


def test_beginning_waits_for_the_edge_to_learn_the_address(tmp_path: Path) -> None:
    site = Site(state="UNINITIATED")
    refusals = [MongodbError("no host described in new configuration maps to this node", 93)] * 3
    initiate: Callable[..., dict[str, Any]] = site.command

    def command(name: str, *given: Any, **more: Any) -> dict[str, Any]:
        if name == "replSetInitiate" and refusals:
            raise refusals.pop()
        return initiate(name, *given, **more)

    site.command = command  # type: ignore[method-assign]
    assert site.prepare(tmp_path).run(quiet)["changed"]
    assert site.state == "PRIMARY"


def test_series_are_numbers() -> None:
    assert series("7.0.28") == (7, 0) != series("7.2.1")


def test_only_the_edge_gets_to_a_container_that_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[tuple[str, str]] = []
    monkeypatch.setattr(Gate, "check", lambda self: None)
    monkeypatch.setattr(Gate, "apply", lambda self, namespace, rules: applied.append((namespace, rules)))
    with keep_out(["172.18.0.1", "fd00::1", "172.19.0.1"], tmp_path):
        (tmp_path / "new").touch()
        while not applied:
            pass
    namespace, rules = applied[0]
    assert namespace == str(tmp_path / "new")
    assert 'iifname != "lo" ip saddr != 172.18.0.1 ip saddr != 172.19.0.1 tcp dport @closed' in rules
    assert "delete table" in applied[-1][1] and "closed" not in applied[-1][1]


def test_without_a_gate_held_requests_are_all_the_protection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(self: Gate) -> None:
        raise NetworkError("nft is not installed")

    monkeypatch.setattr(Gate, "check", check)
    with keep_out(["172.18.0.1"], tmp_path):
        (tmp_path / "new").touch()
