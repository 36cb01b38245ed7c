# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Form a MySQL group, keep it whole, and bring it back; a group is begun once, and only where none is in service.

Nothing is remembered between runs. Every operation looks at all members first and does what is missing, so an operation
that was cut anywhere is continued by calling it again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .mysql_client import Connection, MysqlError
from .mysql_member import UNDER_WAY, Accounts, Member, MemberServer, MemberState, Peer
from .stores.base import Progress, StoreError, Unreachable

__all__ = ["Accounts", "Group", "Member", "MemberState", "Peer"]

Each = Callable[[Callable[[Member], MemberState], Sequence[Member]], Iterable[MemberState]]

_RECOVER = "run recover.yml, which starts it again from its most advanced member"
#: How often a member is looked at while something is awaited, and how long after a failed start it is tried again.
_INTERVAL = 0.5
_RETRY = 5.0
_STARTS = 4


def _nothing(phase: str, figures: dict[str, Any]) -> None:
    pass


def _at_once(look: Callable[[Member], MemberState], members: Sequence[Member]) -> Iterable[MemberState]:
    with ThreadPoolExecutor(max(1, len(members))) as pool:
        return list(pool.map(look, members))


class Group:
    """A group of MySQL servers. ``patience`` bounds how long a member may show no progress while it joins."""

    def __init__(
        self,
        members: Sequence[Member],
        group_name: str,
        accounts: Accounts,
        connect: Callable[[Member], Connection],
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
        patience: float = 300.0,
        each: Each = _at_once,
    ) -> None:
        self.members = tuple(members)
        self.group_name = group_name
        self.accounts = accounts
        self._connect = connect
        self._clock = clock
        self._wait = wait
        self._patience = patience
        self._each = each
        self._by_name = {member.name: member for member in self.members}

    # Looking

    def look(self) -> list[MemberState]:
        """What every member says of itself, in the order of the members."""
        return list(self._each(self._look_at, self.members))

    def primary(self) -> Member | None:
        """The primary of the group, or None when no majority has one."""
        return self._primary_of(self.look())

    def in_service(self, states: Iterable[MemberState] | None = None) -> bool:
        """Whether some members form a group with a majority."""
        return bool(self._serving(self.look() if states is None else states))

    def is_closed(self) -> bool:
        """Whether the group refuses every client's write, and would after a failover."""
        states = self.look()
        primary = self._primary_state(states)
        return not primary.open_action and primary.super_read_only

    # Forming

    def prepare(self, member: Member) -> bool:
        """Make accounts and the recovery channel on a member outside a group; a member in service is left alone."""
        with self._on(member) as server:
            if server.look().in_service or server.is_prepared(self.accounts):
                return False

        def prepare(server: MemberServer) -> None:
            server.stop_group()
            server.make_accounts(self.accounts)
            server.let_join(self.accounts)

        self._once_idle(member, prepare)
        return True

    def rest(self, member: Member) -> None:
        """Keep a member outside a group out of it, also over a boot, while something is done to it."""
        self._once_idle(member, MemberServer.rest)

    def is_prepared(self, member: Member) -> bool:
        """Whether a member has the accounts and the recovery channel."""
        with self._on(member) as server:
            return server.is_prepared(self.accounts)

    def bootstrap(self, first: Member, closed: bool) -> None:
        """Begin the group with one member, unless a group is in service."""
        if self._serving(self.look()):
            return
        self._begin(first, closed)

    def join(self, member: Member, progress: Progress | None = None) -> None:
        """Bring a member into the group in service, by a full copy where it is new, and wait until it is ONLINE."""
        states = {state.name: state for state in self.look()}
        joining, donor = states[member.name], self._primary_state(states.values())
        if not joining.reachable:
            raise Unreachable(f"member {member.name} cannot join: {joining.error}")
        if not joining.in_service:
            self._refuse_errant(member, joining, donor)

            def ready(server: MemberServer) -> None:
                server.stop_group()
                # A running channel from outside would write here; MySQL refuses such a member.
                server.stop_channels(server.running_channels())
                server.forbid_bootstrap()
                server.let_join(self.accounts)
                server.prefer_clone(joining.blank and bool(donor.user_schemas))

            self._once_idle(member, ready)
        self._await_online(member, progress or _nothing)

    def form(self, first: Member, closed: bool, progress: Progress | None = None) -> bool:
        """Make the group complete, beginning it with ``first`` if need be; says whether anything changed."""
        report = progress or _nothing
        states = self._all_reachable("form the group")
        self._refuse_strangers(states)
        changed = False
        if not self._serving(states):
            self._refuse_history(first, states)
            for member in self.members:
                changed |= self.prepare(member)
            report("bootstrap", {"member": first.name})
            self.bootstrap(first, closed)
        return self._complete(report) or changed

    def converge(self, way: str, first: Member, progress: Progress | None = None) -> bool:
        """Complete a group in service; else begin an empty one (``new``), wait to be seeded (``seed``), or neither.

        A group to be seeded is begun by form(); here its members only get their accounts.
        """
        states = self._all_reachable("converge the group")
        if self._serving(states) or way == "new":
            if not self._serving(states):
                self._refuse_history(None, states)
            return self.form(first, closed=False, progress=progress)
        self._refuse_history(first if way == "seed" else None, states)
        waiting = [self._by_name[state.name] for state in states if state.blank and way == "seed"]
        return any([self.prepare(member) for member in waiting])  # noqa: C419 every one of them, not up to the first

    # Open and closed

    def close(self, timeout: float) -> None:
        """Refuse writes from every client, now and after a failover."""
        with self._on(self._primary("close the group")) as server:
            server.set_open_action(False)
            server.set_super_read_only(True, timeout)

    def open(self) -> None:
        """Take writes, now and after a failover."""
        for _ in range(len(self.members)):
            member = self._primary("open the group")
            with self._on(member) as server:
                # In this order: on a read-only primary the action cannot be changed.
                server.set_super_read_only(False)
                server.set_open_action(True)
            state = self._look_at(member)
            if state.primary and state.open_action and not state.super_read_only:
                return
        raise StoreError("the group's primary changed again and again while it was opened: see its members' error logs")

    # Keeping it whole

    def recover(self, force: bool = False, progress: Progress | None = None) -> bool:
        """Start the group again after all members were down; a closed group stays closed.

        With a group in service it only brings back members that are missing, so it can be called again when it was cut.
        """
        report = progress or _nothing
        states = self.look() if force else self._all_reachable("recover the group")
        self._refuse_strangers(states)
        if self._serving(states):
            return self._complete(report)
        for state in states:
            if state.reachable:
                self._once_idle(self._by_name[state.name], MemberServer.stop_group)
        # Only now can positions no longer move, and nobody is on the way into a group.
        states = self.look()
        if not self._serving(states):
            first = self._most_advanced(states)
            report("bootstrap", {"member": first.name})
            self._begin(first, closed=_was_closed(states))
        self._complete(report)
        return True

    def vacate(self, member: Member) -> bool:
        """Hand the group over when the member is its primary, with the channels that run there."""
        states = self.look()
        if not any(state.name == member.name and state.primary for state in states):
            return False
        heir = next((state for state in states if state.online and not state.primary), None)
        if heir is None:
            raise StoreError(
                f"{member.name} is the only member ONLINE, so nobody can take over: start the other members first"
            )
        with self._on(member) as server:
            channels = server.running_channels()
            # MySQL refuses a switch while such a channel runs.
            server.stop_channels(channels)
            try:
                server.make_primary(heir.server_uuid)
            except StoreError:
                server.start_channels(channels)
                raise
        self._await(lambda: self._look_at(self._by_name[heir.name]).primary, f"{heir.name} to become the primary", 60)
        with self._on(self._by_name[heir.name]) as server:
            server.start_channels(channels)
        return True

    def restart(self, names: Sequence[str], progress: Progress | None = None) -> None:
        """Restart members one by one, the primary last, each only while all others are ONLINE."""
        report = progress or _nothing
        states = self._all_reachable("restart its members")
        for name in [state.name for state in sorted(states, key=lambda state: state.primary) if state.name in names]:
            self._refuse_incomplete(f"restart {name}")
            report("restart", {"member": name})
            member = self._by_name[name]
            self.vacate(member)
            self._restart_one(member)
            self.join(member, report)

    # The parts

    @contextlib.contextmanager
    def _on(self, member: Member) -> Iterator[MemberServer]:
        with self._connect(member) as connection:
            yield MemberServer(member, connection)

    def _look_at(self, member: Member) -> MemberState:
        try:
            with self._on(member) as server:
                return server.look()
        except StoreError as problem:
            return MemberState(member.name, reachable=False, error=str(problem))

    def _serving(self, states: Iterable[MemberState]) -> list[MemberState]:
        serving = [state for state in states if state.in_service]
        uuids = [{peer.uuid for peer in state.members_seen} for state in serving]
        if uuids and not set.intersection(*uuids):
            apart = ", ".join(state.name for state in serving)
            raise StoreError(f"the members {apart} form more than one group: stop all but one, and remove their data")
        return serving

    def _primary_of(self, states: Iterable[MemberState]) -> Member | None:
        name = next((state.name for state in self._serving(states) if state.primary), None)
        return None if name is None else self._by_name[name]

    def _primary_state(self, states: Iterable[MemberState]) -> MemberState:
        found = next((state for state in self._serving(states) if state.primary), None)
        if found is None:
            raise StoreError(f"the group has no primary: {_RECOVER}")
        return found

    def _primary(self, purpose: str) -> Member:
        primary = self.primary()
        if primary is None:
            raise StoreError(f"cannot {purpose}, because it has no primary: {_RECOVER}")
        return primary

    def _all_reachable(self, purpose: str) -> list[MemberState]:
        states = self.look()
        silent = [state for state in states if not state.reachable]
        if silent:
            reasons = "; ".join(f"{state.name}: {state.error}" for state in silent)
            raise Unreachable(
                f"cannot {purpose} while members cannot be asked ({reasons}): start them, or open the way to them"
            )
        return states

    def _refuse_strangers(self, states: Iterable[MemberState]) -> None:
        known = {(member.address, member.port) for member in self.members}
        for state in states:
            if state.group_name and state.group_name != self.group_name:
                raise StoreError(
                    f"{state.name} is configured for the group {state.group_name}, not {self.group_name}: set "
                    "mysql_group_name to it, or run the role's configuration first"
                )
            for peer in state.members_seen if state.in_service else ():
                if (peer.address, peer.port) not in known:
                    raise StoreError(
                        f"{state.name} is in a group with {peer.address}:{peer.port}, which is not among the given "
                        "members: add it to mysql_hosts, or take it out of the group"
                    )

    def _refuse_history(self, first: Member | None, states: Iterable[MemberState]) -> None:
        """Refuse to begin a group while members other than ``first`` hold something."""
        for state in states:
            if state.blank or (first and state.name == first.name):
                continue
            held = f"the databases {', '.join(state.user_schemas)}" if state.user_schemas else "the history of a group"
            raise StoreError(
                f"no group is in service, but {state.name} holds {held}: if its group is down, {_RECOVER}; "
                "otherwise remove what it holds"
            )

    def _refuse_errant(self, member: Member, joining: MemberState, donor: MemberState) -> None:
        with self._on(self._by_name[donor.name]) as server:
            extra = server.missing(donor.position, joining.position) if joining.position else ""
        if extra or (joining.user_schemas and not joining.position):
            raise StoreError(
                f"{member.name} holds what the group does not ({extra or ', '.join(joining.user_schemas)}): save it if "
                "it is wanted, then stop MySQL there, remove its data directory and run again"
            )

    def _refuse_incomplete(self, purpose: str) -> None:
        missing = [state.name for state in self.look() if not state.online]
        if missing:
            raise StoreError(
                f"cannot {purpose} while {', '.join(missing)} is not ONLINE: run again when all members are"
            )

    def _most_advanced(self, states: Sequence[MemberState]) -> Member:
        held = [state for state in states if state.reachable and not state.blank]
        if not held:
            raise StoreError("no member holds anything of a group, so nothing can be recovered: form the group instead")
        with self._on(self._by_name[held[0].name]) as server:
            for state in held:
                if all(server.contains(state.position, other.position) for other in held):
                    return self._by_name[state.name]
        names = ", ".join(state.name for state in held)
        raise StoreError(
            f"each of {names} holds transactions that another one lacks, so none is the most advanced: decide which "
            "one to keep, remove the data directory of the others, and run again"
        )

    def _begin(self, first: Member, closed: bool) -> None:
        self._once_idle(first, MemberServer.stop_group)
        try:
            with self._on(first) as server:
                server.set_open_action(not closed)
                server.bootstrap_group()
        finally:
            # By a new connection: the first one may have been lost while the member went on.
            self._once_idle(first, MemberServer.forbid_bootstrap)
        self._await(lambda: self._look_at(first).primary, f"{first.name} to begin the group", self._patience)
        with self._on(first) as server:
            server.serve()

    def _complete(self, report: Progress) -> bool:
        """Bring in every member that can be reached and is not ONLINE, and clear what an interrupted beginning left."""
        states = self.look()
        for state in states:
            if state.may_bootstrap:
                self._once_idle(self._by_name[state.name], MemberServer.forbid_bootstrap)
        missing = [state for state in states if state.reachable and not state.online]
        for state in missing:
            member = self._by_name[state.name]
            if state.blank and not state.in_service:
                self.prepare(member)
            self.join(member, report)
        return bool(missing)

    def _await_online(self, member: Member, report: Progress) -> None:
        """Start the member when it has stopped, as often as is sensible, and wait while it shows progress."""
        starts, next_start, refusal = 0, self._clock(), ""
        signs: tuple[object, ...] = ()
        since = self._clock()
        while True:
            state = self._look_at(member)
            if state.online:
                break
            if state.reachable and not state.in_service and self._clock() >= next_start:
                if starts == _STARTS:
                    raise StoreError(f"{member.name} does not join the group: {refusal or self._complaint(member)}")
                starts, next_start = starts + 1, self._clock() + _RETRY * (starts + 1)
                refusal = self._start(member)
            copied = self._copied(member) if state.state == "RECOVERING" else {}
            if copied:
                report("clone", {"member": member.name, **copied})
            seen = (state.state, state.gtid_executed, *copied.values())
            if seen != signs:
                signs, since = seen, self._clock()
            elif self._clock() - since > self._patience:
                raise StoreError(
                    f"{member.name} has shown no progress in joining for {self._patience:.0f} s "
                    f"({state.state or state.error}): {self._complaint(member)}"
                )
            self._wait(_INTERVAL)

        def settle(server: MemberServer) -> None:
            server.prefer_clone(False)
            server.serve()

        self._once_idle(member, settle)

    def _once_idle(self, member: Member, act: Callable[[MemberServer], None]) -> None:
        """Do what a member refuses while it starts or stops its group, which it may be doing since it booted."""

        def done() -> bool:
            try:
                with self._on(member) as server:
                    act(server)
            except Unreachable:
                return False
            except MysqlError as problem:
                if problem.code not in UNDER_WAY:
                    raise
                return False
            return True

        self._await(done, f"{member.name} to end the start or stop of its group", self._patience)

    def _start(self, member: Member) -> str:
        try:
            with self._on(member) as server:
                server.start_group()
        except Unreachable:
            # A member that copies everything restarts itself at the end.
            return ""
        except MysqlError as problem:
            return f"{problem}; its error log says: {self._complaint(member)}"
        return ""

    def _restart_one(self, member: Member) -> None:
        with self._on(member) as server:
            before = server.process()
            with contextlib.suppress(Unreachable):
                server.restart()

        def restarted() -> bool:
            try:
                with self._on(member) as server:
                    return server.process() != before
            except StoreError:
                return False

        self._await(restarted, f"{member.name} to come back from its restart", self._patience)

    def _copied(self, member: Member) -> dict[str, int]:
        try:
            with self._on(member) as server:
                return server.copied()
        except StoreError:
            return {}

    def _complaint(self, member: Member) -> str:
        try:
            with self._on(member) as server:
                return server.last_error()
        except StoreError as problem:
            return str(problem)

    def _await(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        ends = self._clock() + seconds
        while not condition():
            if self._clock() >= ends:
                raise StoreError(f"waited {seconds:.0f} s in vain for {what}: see the error log of MySQL there")
            self._wait(_INTERVAL)


def _was_closed(states: Iterable[MemberState]) -> bool:
    """What the newest configuration says that members kept; in doubt, closed."""
    kept = [state for state in states if state.reachable]
    newest = max((state.action_version for state in kept), default=0)
    return any(not state.open_action for state in kept if state.action_version == newest)
