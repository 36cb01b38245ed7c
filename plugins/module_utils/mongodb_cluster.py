# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Form a replica set, keep it whole, restart its members one by one, and bring it back.

Nothing is remembered between runs. Every operation looks at all members first and does what is missing, so an operation
that was cut anywhere is continued by calling it again. A closed cluster, whose set is led by a server outside of it,
stays as it is: its members have no vote, cannot be elected and are hidden.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from . import mongodb_config as configs
from .mongodb_client import Client
from .mongodb_config import CLOSED, OPEN, Config
from .mongodb_node import UNINITIATED, NodeState, is_let_in
from .mongodb_set import Each, ReplicaSet
from .mongodb_settings import Member
from .stores.base import StoreError, Unreachable

_INTERVAL = 0.5
_CONFIG_SECONDS = 60.0
_RECOVER = "run recover.yml"


@dataclass(frozen=True)
class Administrator:
    """The account that operators use."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Standing:
    """What a cluster is at one moment."""

    states: tuple[NodeState, ...]
    config: Mapping[str, Any] | None
    primary: str | None

    @property
    def in_service(self) -> bool:
        """Whether some set has a primary."""
        return self.primary is not None

    def closed(self, hosts: Sequence[str]) -> bool:
        """Whether the members follow a server outside of the cluster, and none of them can be elected."""
        if self.config is None:
            return False
        found = configs.seats(self.config)
        outside = [host for host in found if host not in hosts]
        return bool(outside) and not any(one.open for host, one in found.items() if host in hosts)


class Cluster:
    """Servers that are, or shall be, one set. ``patience`` bounds how long a member may show no progress."""

    def __init__(
        self,
        members: Sequence[Member],
        set_name: str,
        connect: Callable[[str], Client],
        administrator: Administrator,
        log_in: Callable[[str, str, str], Client],
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
        patience: float = 300.0,
        each: Each | None = None,
    ) -> None:
        self.members = tuple(members)
        self.hosts = [member.host for member in members]
        self._names = {member.host: member.name for member in members}
        self._set_name = set_name
        self._administrator = administrator
        self._log_in = log_in
        self._clock = clock
        self._wait = wait
        self._patience = patience
        self._set = ReplicaSet(self.hosts, connect, clock, wait, each)

    def look(self) -> Standing:
        """What the members say."""
        states = tuple(self._set.look())
        config = self._set.kept_config() if any(state.in_set for state in states) else None
        return Standing(states, config, self._set.primary() if config else None)

    # Forming

    def converge(self, way: str) -> bool:
        """Complete a set in service; else begin an empty one (``new``), or leave members to who seeds them."""
        standing = self._all_reachable("converge the set")
        self._refuse_others(standing)
        if not standing.in_service:
            held = [state for state in standing.states if state.state != UNINITIATED]
            if held:
                raise StoreError(
                    f"no member of the set takes writes, but {self._named(held)} belongs to it: {_RECOVER} if the set "
                    "is down"
                )
            if way != "new":
                return False
            self._begin()
            self._keep_administrator()
            return True
        if standing.closed(self.hosts):
            # Who follows whom is the business of whoever closed it.
            return False
        changed = self._complete()
        changed |= self._set.change(_timed, _CONFIG_SECONDS)
        return self._keep_administrator() or changed

    def expected(self, way: str, standing: Standing) -> bool:
        """Whether converge() would change something, as far as the members tell."""
        if not standing.in_service:
            return way == "new"
        listed = configs.hosts(standing.config or {"members": []})
        return not standing.closed(self.hosts) and any(host not in listed for host in self.hosts)

    def _begin(self) -> None:
        self._set.initiate(self.hosts[0], configs.first_config(self._set_name, self.hosts))
        self._await(lambda: self._set.primary() is not None, "the new set to elect a primary")

    def _complete(self) -> bool:
        changed = False
        for host in self.hosts:

            def add(config: Config, host: str = host) -> dict[str, Any] | None:
                return None if host in configs.hosts(config) else configs.with_member(config, host, CLOSED)

            def open_one(config: Config, host: str = host) -> dict[str, Any] | None:
                found = configs.seats(config)[host]
                return None if found != CLOSED else configs.with_seats(config, {host: OPEN})

            changed |= self._set.change(add, _CONFIG_SECONDS)
            # A member gets its vote when it has everything.
            self._await(partial(self._healthy, host), f"{self._names[host]} to copy everything")
            changed |= self._set.change(open_one, _CONFIG_SECONDS)
        return changed

    def _keep_administrator(self) -> bool:
        """Make the administrator's account, or give it its password."""
        one, client = self._administrator, self._set.lead()
        roles = [{"role": "root", "db": "admin"}]
        if not client.command("usersInfo", {"user": one.user, "db": "admin"})["users"]:
            client.command("createUser", one.user, pwd=one.password, roles=roles)
            return True
        if self._gets_in(self._set.primary() or self.hosts[0]):
            return False
        client.command("updateUser", one.user, pwd=one.password, roles=roles)
        return True

    def _gets_in(self, host: str) -> bool:
        with self._log_in(host, self._administrator.user, self._administrator.password) as client:
            return is_let_in(client)

    # Keeping it whole

    def recover(self, force: bool = False) -> bool:
        """Wait until a set whose members were all down elects a primary again; it does so by itself with a majority.

        With ``force`` members that cannot be reached are taken out, and the others go on from the most advanced one; so
        is the server that a closed cluster follows, and the cluster is open from then on.
        """
        standing = self.look() if force else self._all_reachable("recover the set")
        self._refuse_others(standing)
        if standing.config is None:
            raise StoreError("no member knows of a set, so nothing can be recovered: form the set instead")
        if standing.in_service:
            return False
        silent = {state.host for state in standing.states if not state.reachable}
        if force and (silent or standing.closed(self.hosts)):
            self._go_on_without(silent, standing)
        else:
            self._await(lambda: self._set.primary() is not None, "the set to elect a primary")
        return True

    def _go_on_without(self, gone: set[str], standing: Standing) -> None:
        alive = [state.host for state in standing.states if state.in_set]
        if not alive:
            raise StoreError("no member can be reached that belongs to the set: start at least one")
        first = max(alive, key=self._position)
        client = self._set.client(first)
        config = configs.without_members(client.command("replSetGetConfig")["config"], gone)
        if standing.closed(self.hosts):
            config = configs.without_members(config, set(configs.hosts(config)) - set(self.hosts))
            config = configs.with_seats(config, dict.fromkeys(configs.hosts(config), OPEN))
        client.command("replSetReconfig", config, force=True)
        self._await(lambda: self._set.primary() is not None, "the remaining members to elect a primary")

    def _position(self, host: str) -> Any:
        return self._set.client(host).command("replSetGetStatus")["optimes"]["appliedOpTime"]["ts"]

    def restart(self, names: Sequence[str]) -> None:
        """Restart members one by one, the primary last, each only while all others are well."""
        standing = self._all_reachable("restart its members")
        wanted = [member for member in self.members if member.name in names]
        for member in sorted(wanted, key=lambda one: one.host == standing.primary):
            self._refuse_unwell(f"restart {member.name}")
            if self._set.primary() == member.host:
                self._set.step_down(10.0)
                self._await(partial(self._led_by_another, member.host), "another primary")
            self._restart_one(member)

    def _restart_one(self, member: Member) -> None:
        before = self._process(member.host)
        with contextlib.suppress(Unreachable):
            # systemd starts it again.
            self._set.client(member.host).command("shutdown", force=True, timeoutSecs=10)

        def back() -> bool:
            with contextlib.suppress(StoreError):
                return self._process(member.host) != before and self._healthy(member.host)
            return False

        self._await(back, f"{member.name} to come back from its restart")

    def _process(self, host: str) -> str:
        return str(self._set.client(host).command("hello")["topologyVersion"]["processId"])

    # The parts

    def _healthy(self, host: str) -> bool:
        return self._set.look_at(host).healthy

    def _led_by_another(self, host: str) -> bool:
        return self._set.primary() not in (None, host)

    def _all_reachable(self, purpose: str) -> Standing:
        standing = self.look()
        silent = [state for state in standing.states if not state.reachable]
        if silent:
            reasons = "; ".join(f"{self._names[state.host]}: {state.error}" for state in silent)
            raise Unreachable(
                f"cannot {purpose} while members cannot be asked ({reasons}): start them, or open the way to them"
            )
        return standing

    def _refuse_others(self, standing: Standing) -> None:
        for state in standing.states:
            if state.set_name and state.set_name != self._set_name:
                raise StoreError(
                    f"{self._names[state.host]} is a member of the set {state.set_name}, not of {self._set_name}: set "
                    "mongodb_set_name to it, or take it out of that set"
                )

    def _refuse_unwell(self, purpose: str) -> None:
        unwell = [state for state in self.look().states if not state.healthy and state.state != UNINITIATED]
        if unwell:
            raise StoreError(
                f"cannot {purpose} while {self._named(unwell)} is not well: run again when all members are"
            )

    def _named(self, states: Sequence[NodeState]) -> str:
        return ", ".join(f"{self._names[state.host]} ({state.state or state.error})" for state in states)

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        ends = self._clock() + self._patience
        while not condition():
            if self._clock() >= ends:
                raise StoreError(f"waited {self._patience:.0f} s in vain for {what}: see MongoDB's log there")
            self._wait(_INTERVAL)


def _timed(config: Config) -> dict[str, Any] | None:
    """The times of elections, where a set has others."""
    found = dict(config.get("settings") or {})
    if all(found.get(name) == value for name, value in configs.TIMES.items()):
        return None
    made = configs.successor(config)
    made["settings"] = {**found, **configs.TIMES}
    return made
