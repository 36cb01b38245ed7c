# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A few MySQL servers in memory that understand the statements of Group Replication, and may fail at any of them.

A GTID set is a comma-separated list of tokens. Time is virtual. The world itself watches what must never happen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import MysqlError
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_group import Accounts, Group, Member
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import Unreachable

GROUP_NAME = "5a5f3dd0-0000-4000-8000-000000000001"
ACCOUNTS = Accounts("admin", "admin-secret", "repl", "repl-secret")

BEFORE, AFTER, LOST = "cut before", "cut after", "lost after"


class Cut(BaseException):
    """The controller dies here."""


class Forbidden(AssertionError):
    """Something happened that must never happen."""


@dataclass
class FakeServer:
    """One member: what its disk keeps, and what a restart forgets."""

    name: str
    executed: set[str] = field(default_factory=set)
    received: set[str] = field(default_factory=set)
    schemas: set[str] = field(default_factory=set)
    accounts: set[str] = field(default_factory=set)
    recovery_account: bool = False
    start_on_boot: bool = False
    open_action: bool = True
    action_version: int = 1
    up: bool = True
    process: int = 1
    state: str = "OFFLINE"
    super_read_only: bool = True
    read_only: bool = True
    bootstrap_flag: bool = False
    clone: bool = False
    cloned: int = 0
    offline_mode: bool = False
    channels: set[str] = field(default_factory=set)
    joining: int = 0
    booting: int = 0

    @property
    def writable(self) -> bool:
        return self.up and not self.read_only


class World:
    """Servers, the group that they form, and the network between them and the controller."""

    def __init__(self, names: tuple[str, ...] = ("db1", "db2", "db3")) -> None:
        self.servers = {name: FakeServer(name) for name in names}
        self.view: list[str] = []
        self.primary: str | None = None
        self.now = 0.0
        self.calls = 0
        self.faults: dict[int, str] = {}
        self.bootstraps: list[str] = []
        self.acknowledged: set[str] = set()
        self.must_stay_closed = False
        self.controller_dead = False
        self.log: list[str] = []

    # Time and the controller

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for server in self.servers.values():
            server.booting = max(0, server.booting - 1)
            if server.joining:
                server.joining -= 1
                if not server.joining:
                    self._online(server)

    def group(self) -> Group:
        """A controller that was just started."""
        self.controller_dead = False
        members = [Member(name, name) for name in self.servers]
        return Group(
            members,
            GROUP_NAME,
            ACCOUNTS,
            self.connect,  # type: ignore[arg-type]
            self.clock,
            self.wait,
            each=map,
        )

    def connect(self, member: Member) -> FakeConnection:
        return FakeConnection(self, self.servers[member.name])

    def member(self, name: str) -> Member:
        return Member(name, name)

    # What happens to servers

    def kill(self, name: str) -> None:
        server = self.servers[name]
        server.up = False
        self._leave(server, crashed=True)

    def start(self, name: str) -> None:
        server = self.servers[name]
        if server.up:
            return
        server.up, server.process = True, server.process + 1
        self._forget(server)
        if server.start_on_boot and not self._join(server):
            server.booting = 4

    def write(self) -> None:
        """A client writes through whoever takes writes."""
        for server in self.servers.values():
            if server.writable:
                token = f"w{len(self.acknowledged) + 1}"
                for name in self.view:
                    other = self.servers[name]
                    (other.received if name != server.name and len(token) % 2 else other.executed).add(token)
                server.executed.add(token)
                self.acknowledged.add(token)
                return

    def watch(self) -> None:
        writable = [server.name for server in self.servers.values() if server.writable]
        if len(writable) > 1:
            raise Forbidden(f"two writable servers {writable}: {self.log}")
        if writable and self.must_stay_closed:
            raise Forbidden(f"{writable} is writable in a closed group: {self.log}")

    # Group Replication

    def bootstrap(self, server: FakeServer) -> None:
        if self.view:
            raise Forbidden(f"{server.name} begins a second group beside {self.view}: {self.log}")
        held = server.executed | server.received
        behind = [one.name for one in self.servers.values() if not one.executed | one.received <= held]
        if behind:
            raise Forbidden(f"{server.name} begins a group while {behind} hold more: {self.log}")
        self.bootstraps.append(server.name)
        server.executed |= server.received
        server.received = set()
        self.view = [server.name]
        server.state = "ONLINE"
        self._elect()

    def _join(self, server: FakeServer) -> bool:
        if not self.view or server.channels:
            server.state = "OFFLINE"
            return False
        donor = self.servers[self.view[0]]
        if not server.executed | server.received <= donor.executed | donor.received:
            server.state = "ERROR"
            return False
        if not server.recovery_account:
            return False
        self.view.append(server.name)
        server.state, server.joining = "RECOVERING", 3
        return True

    def _online(self, server: FakeServer) -> None:
        if server.name not in self.view:
            return
        donor = next(self.servers[name] for name in self.view if self.servers[name].state == "ONLINE")
        if server.clone:
            server.cloned += 1
            server.clone = False
            server.accounts = set(donor.accounts)
        server.executed = donor.executed | donor.received
        server.received = set()
        server.schemas = set(donor.schemas)
        server.open_action, server.action_version = donor.open_action, donor.action_version
        server.state = "ONLINE"

    def _leave(self, server: FakeServer, crashed: bool = False) -> None:
        server.state, server.joining = "OFFLINE", 0
        server.super_read_only = server.read_only = True
        if server.name not in self.view:
            return
        before = len(self.view)
        self.view.remove(server.name)
        if self.primary == server.name:
            self.primary = None
        alive = [name for name in self.view if self.servers[name].state == "ONLINE"]
        if (crashed and len(self.view) * 2 <= before) or not alive:
            for name in list(self.view):
                other = self.servers[name]
                other.state, other.joining, other.offline_mode = "ERROR", 0, True
                other.super_read_only = other.read_only = True
            self.view, self.primary = [], None
        elif self.primary is None:
            self._elect()

    def _elect(self, name: str | None = None) -> None:
        chosen = self.servers[name or next(one for one in self.view if self.servers[one].state == "ONLINE")]
        for one in self.view:
            self.servers[one].super_read_only = self.servers[one].read_only = True
        chosen.executed |= chosen.received
        chosen.received = set()
        self.primary = chosen.name
        if chosen.open_action:
            chosen.super_read_only = chosen.read_only = False

    def _forget(self, server: FakeServer) -> None:
        server.state, server.joining = "OFFLINE", 0
        server.super_read_only = server.read_only = True
        server.bootstrap_flag = server.clone = server.offline_mode = False
        server.channels = set()

    def set_action(self, server: FakeServer, wanted: bool) -> None:
        if self.view and server.name in self.view:
            if server.name != self.primary:
                raise MysqlError("only on the primary", 1123)
            if server.super_read_only and wanted:
                raise MysqlError("read-only", 1123)
            changed = [self.servers[name] for name in self.view]
        else:
            changed = [server]
        for one in changed:
            one.open_action, one.action_version = wanted, server.action_version + 1


class FakeConnection:
    """A session of the controller on one server."""

    def __init__(self, world: World, server: FakeServer) -> None:
        self.world, self.server = world, server
        self.logged = True
        if not server.up:
            raise Unreachable(f"{server.name} does not answer")

    def __enter__(self) -> FakeConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        pass

    def query(self, sql: str, args: Any = ()) -> list[dict[str, Any]]:
        world = self.world
        if world.controller_dead:
            raise Cut
        world.calls += 1
        fault = world.faults.get(world.calls)
        world.controller_dead = fault in (BEFORE, AFTER)
        if fault == BEFORE:
            raise Cut
        if not self.server.up:
            raise Unreachable(f"{self.server.name} does not answer")
        if not sql.startswith("SELECT @@") and "_schema" not in sql and "FROM mysql" not in sql:
            world.log.append(f"{self.server.name}: {sql % tuple(args) if args else sql}")
        rows = self._answer(sql, tuple(args))
        world.watch()
        if fault == AFTER:
            raise Cut
        if fault == LOST:
            raise Unreachable(f"{self.server.name}: lost connection")
        return rows

    def value(self, sql: str, args: Any = ()) -> Any:
        rows = self.query(sql, args)
        return next(iter(rows[0].values())) if rows else None

    def execute(self, sql: str, args: Any = ()) -> int:
        self.query(sql, args)
        return 0

    def _answer(self, sql: str, args: tuple[Any, ...]) -> list[dict[str, Any]]:
        server, world = self.server, self.world
        if sql.startswith("SELECT @@server_uuid"):
            return [
                {
                    "uuid": server.name,
                    "version": "9",
                    "executed": _text(server.executed),
                    "closed": int(server.super_read_only),
                }
            ]
        if "performance_schema.global_variables" in sql:
            return [
                {"name": "group_name", "value": GROUP_NAME},
                {"name": "bootstrap_group", "value": "ON" if server.bootstrap_flag else "OFF"},
                {"name": "start_on_boot", "value": "ON" if server.start_on_boot else "OFF"},
            ]
        if "SELECT @@global.offline_mode" in sql:
            return [{"v": int(server.offline_mode)}]
        if "FROM performance_schema.replication_group_members " in sql:
            return self._peers()
        if "received_transaction_set" in sql:
            return [{"v": _text(server.received)}]
        if "replication_group_member_actions WHERE" in sql:
            return [{"v": int(server.open_action)}]
        if "replication_group_configuration_version" in sql:
            return [{"v": server.action_version}]
        if "FROM mysql.user" in sql:
            return [{"account": name} for name in server.accounts]
        if "FROM mysql.slave_master_info" in sql:
            return [{"user": "repl", "password": "repl-secret"}] if server.recovery_account else []
        if "information_schema.schemata" in sql:
            return [{"name": name} for name in (*server.schemas, "mysql", "sys")]
        if "performance_schema.threads" in sql:
            return [{"v": server.process}]
        if "clone_progress" in sql:
            return [{"done": 3 - server.joining, "total": 3}]
        if "error_log" in sql:
            return [{"v": "something went wrong"}]
        if "replication_applier_status" in sql:
            return [{"channel": name} for name in sorted(server.channels)]
        if sql.startswith("SELECT GTID_SUBSET"):
            return [{"v": int(_tokens(args[0]) <= _tokens(args[1]))}]
        if sql.startswith("SELECT GTID_SUBTRACT"):
            return [{"v": _text(_tokens(args[0]) - _tokens(args[1]))}]
        if "_member_action(" in sql:
            world.set_action(server, "enable" in sql)
            return []
        if "set_as_primary" in sql:
            if server.channels:
                raise MysqlError("a channel runs", 3910)
            world._elect(args[0])
            return []
        self._command(sql, args)
        return []

    def _peers(self) -> list[dict[str, Any]]:
        server, world = self.server, self.world
        names = world.view if server.name in world.view else [server.name]
        return [
            {
                "uuid": name,
                "address": name,
                "port": 3306,
                "state": world.servers[name].state,
                "role": "PRIMARY" if name == world.primary else "SECONDARY",
            }
            for name in names
        ]

    def _command(self, sql: str, args: tuple[Any, ...]) -> None:
        server, world = self.server, self.world
        setting = re.match(r"SET (?:GLOBAL|SESSION|PERSIST) (\w+) = (\w+)", sql)
        if setting:
            self._set(setting[1], setting[2])
        elif sql.startswith(("CREATE USER", "ALTER USER", "GRANT")):
            if server.super_read_only:
                raise MysqlError("super-read-only", 1290)
            if self.logged:
                raise Forbidden(f"{sql} would be an errant transaction on {server.name}")
            host = re.search(r"%s@'([^']*)'", sql)
            server.accounts.add(f"{args[0]}@{host[1].replace('%%', '%') if host else args[1]}")
        elif sql.startswith("CHANGE REPLICATION SOURCE"):
            server.recovery_account = args == ("repl", "repl-secret")
        elif sql.startswith("STOP REPLICA"):
            server.channels.discard(args[0])
        elif sql.startswith("START REPLICA"):
            server.channels.add(args[0])
        elif sql == "STOP GROUP_REPLICATION":
            if server.booting:
                raise MysqlError("another instance of START/STOP is executing", 3663)
            world._leave(server)
        elif sql == "START GROUP_REPLICATION":
            if server.name in world.view:
                raise MysqlError("already running", 3093)
            if server.bootstrap_flag:
                world.bootstrap(server)
            elif not world._join(server):
                raise MysqlError("cannot join", 3092)
        elif sql == "RESTART":
            world._leave(server)
            server.process += 1
            world._forget(server)
            world._join(server)
            raise Unreachable("restarting")
        else:
            raise AssertionError(f"unknown statement {sql}")

    def _set(self, name: str, value: str) -> None:
        server, on = self.server, value == "ON"
        if server.booting and name.startswith("group_replication_"):
            raise MysqlError("cannot be set while START or STOP is ongoing", 3724)
        if name == "super_read_only":
            server.super_read_only = on
            server.read_only = server.read_only or on
        elif name == "read_only":
            server.read_only = on
            server.super_read_only = server.super_read_only and on
        elif name == "sql_log_bin":
            self.logged = value == "1"
        elif name == "group_replication_bootstrap_group":
            server.bootstrap_flag = on
        elif name == "group_replication_clone_threshold":
            server.clone = value == "1"
        elif name == "group_replication_start_on_boot":
            server.start_on_boot = on
        elif name == "offline_mode":
            server.offline_mode = on
        elif name != "lock_wait_timeout":
            raise AssertionError(f"unknown variable {name}")


def _tokens(text: str) -> set[str]:
    return {token for token in text.split(",") if token}


def _text(tokens: set[str]) -> str:
    return ",\n".join(sorted(tokens))
