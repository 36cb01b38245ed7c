# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A replica set as a whole: who its primary is, and changes of its configuration, each waited for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from . import mongodb_config as configs
from .mongodb_client import Client
from .mongodb_config import Config, Seat
from .mongodb_node import NodeState, look
from .stores.base import StoreError, Unreachable

#: How often something that takes seconds is looked at, and a member that is about to be elected.
_INTERVAL = 0.1
_ELECTION_INTERVAL = 0.01
#: For how long a member that stepped down is not elected again, beyond the time for others to catch up.
_REST_SECONDS = 5
_ANSWER_SECONDS = 4.0

Change = Callable[[Config], "dict[str, Any] | None"]
#: Calls a function with each of some servers; gives server and answer in the order in which they come.
Each = Callable[[Callable[[str], Any], Sequence[str]], Iterator[tuple[str, Any]]]


def at_once(ask: Callable[[str], Any], hosts: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Ask all at the same time; one that does not answer in time keeps nobody waiting who has heard enough."""
    pool = ThreadPoolExecutor(max(1, len(hosts)))
    try:
        asked = {pool.submit(ask, host): host for host in hosts}
        for done in as_completed(asked):
            yield asked[done], done.result()
    finally:
        pool.shutdown(wait=False)


class ReplicaSet:
    """Some servers that are, or shall be, members of one set. ``connect`` gives the kept way to one by its name.

    Members that the set has and nobody named are asked, too, wherever the set as a whole is meant.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        connect: Callable[[str], Client],
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
        each: Each | None = None,
    ) -> None:
        self.hosts = tuple(hosts)
        self.client = connect
        self._clock = clock
        self._wait = wait
        self._each = each or at_once
        self._last: str | None = None

    def look(self, hosts: Sequence[str] | None = None) -> list[NodeState]:
        """What servers say of themselves, in their order."""
        asked = list(self.hosts if hosts is None else hosts)
        found = dict(self._each(self.look_at, asked))
        return [found[host] for host in asked]

    def look_at(self, host: str) -> NodeState:
        """What one server says of itself."""
        try:
            return look(host, self.client(host))
        except StoreError as problem:
            return NodeState(host, reachable=False, error=str(problem))

    # The primary

    def primary(self) -> str | None:
        """The member that takes writes now, or None. The one that did a moment ago is asked first."""
        last = self._last
        if last is not None and self._leads(last):
            return last
        others = [host for host in self._known() if host != last]
        self._last = next((host for host, leads in self._each(self._leads, others) if leads), None)
        return self._last

    def lead(self) -> Client:
        """The way to the primary."""
        host = self.primary()
        if host is None:
            raise Unreachable(
                f"no member of the set takes writes ({', '.join(self._known())}): a majority of those that vote has to "
                "run; start them, or run recover.yml"
            )
        return self.client(host)

    def await_primary(self, wanted: Iterable[str], seconds: float) -> str | None:
        """Wait until one of some members leads; None when none does in time."""
        these, ends = list(wanted), self._clock() + seconds
        while True:
            for host in these:
                if self._leads(host):
                    self._last = host
                    return host
            if self._clock() >= ends:
                return None
            self._wait(_ELECTION_INTERVAL)

    def _leads(self, host: str) -> bool:
        try:
            return bool(self.client(host).command("hello").get("isWritablePrimary"))
        except StoreError:
            return False

    def _known(self) -> list[str]:
        """The servers that were named, and those that one of them lists as its set's."""
        for host in self.hosts:
            with contextlib.suppress(StoreError):
                config, _ = self._read(self.client(host))
                return list(dict.fromkeys((*self.hosts, *configs.hosts(config))))
        return list(self.hosts)

    # The configuration

    def config(self) -> dict[str, Any]:
        """The configuration that the primary has."""
        return self._read(self.lead())[0]

    def kept_config(self) -> dict[str, Any] | None:
        """The newest configuration that a server has, with or without a primary; None when none has any."""
        found = []
        for host in self.hosts:
            with contextlib.suppress(StoreError):
                found.append(self._read(self.client(host))[0])
        return max(found, key=lambda one: (int(one.get("term", 0)), int(one["version"])), default=None)

    def change(self, change: Change, seconds: float) -> bool:
        """Take step after step until ``change`` gives None and a majority has the last one; says whether one was taken.

        A step can be refused for a moment: while the one before has not reached a majority, after an election, when
        somebody else was faster. So it is worked out anew and tried again until the time is up.
        """
        ends = self._clock() + seconds
        changed, refusal = False, "the set has not confirmed it"
        while True:
            try:
                client = self.lead()
                config, committed = self._read(client)
                wanted = change(config)
                if wanted is not None:
                    limit = max(1, round(min(_ANSWER_SECONDS, ends - self._clock()) * 1000))
                    client.command("replSetReconfig", wanted, maxTimeMS=limit)
                    changed = True
                    continue
                if committed:
                    return changed
            except StoreError as problem:
                refusal = str(problem)
            if self._clock() >= ends:
                raise StoreError(f"the set's configuration could not be changed within {seconds:.0f} s: {refusal}")
            self._wait(_INTERVAL)

    def seat(self, wanted: Callable[[Config, str], Mapping[str, Seat]], seconds: float) -> bool:
        """Give the members other seats; ``wanted`` takes the configuration and the primary's name."""

        def change(config: Config) -> dict[str, Any] | None:
            return configs.next_config(config, wanted(config, self._last or ""))

        return self.change(change, seconds)

    def initiate(self, host: str, config: Config) -> None:
        """Begin the set on one server."""
        self.client(host).command("replSetInitiate", dict(config))

    def step_down(self, seconds: float) -> None:
        """Have the primary hand over to a member that has everything; refused when none has within ``seconds``."""
        try:
            self.lead().command(
                "replSetStepDown", _REST_SECONDS + round(seconds), secondaryCatchUpPeriodSecs=max(1, round(seconds))
            )
        except Unreachable:
            # It may have done it and closed the connection; who leads now is asked anyway.
            pass

    def may_be_elected(self, hosts: Iterable[str]) -> None:
        """End the rest of members that stepped down a moment ago."""
        for host in hosts:
            with contextlib.suppress(StoreError):
                self.client(host).command("replSetFreeze", 0)

    @staticmethod
    def _read(client: Client) -> tuple[dict[str, Any], bool]:
        """The configuration of a server, and whether a majority has it, which only the primary knows."""
        answer = client.command("replSetGetConfig", commitmentStatus=True) if _is_primary(client) else None
        if answer is not None:
            return dict(answer["config"]), bool(answer.get("commitmentStatus", True))
        return dict(client.command("replSetGetConfig")["config"]), False

    # Replication

    def lags(self, followers: Sequence[str]) -> dict[str, float]:
        """How many seconds some members are behind the primary. Each is asked itself, before the primary is."""
        had = {host: self._applied(self.client(host)) for host in followers}
        ahead = self._applied(self.lead())
        return {host: float(max(0, ahead.time - one.time)) if one < ahead else 0.0 for host, one in had.items()}

    def reach(self, host: str, moment: Any, seconds: float) -> bool:
        """Wait until a member has applied everything up to a moment; says whether it has."""
        ends = self._clock() + seconds
        while self._applied(self.client(host)) < moment:
            if self._clock() >= ends:
                return False
            self._wait(_ELECTION_INTERVAL)
        return True

    @staticmethod
    def _applied(client: Client) -> Any:
        return client.command("replSetGetStatus")["optimes"]["appliedOpTime"]["ts"]

    def committed(self) -> Any:
        """The moment up to which a majority has everything."""
        return self.lead().command("replSetGetStatus")["optimes"]["lastCommittedOpTime"]["ts"]

    def moment(self, follower: str, seconds: float) -> Any:
        """A moment up to which a majority and one more member have everything."""
        found = self.committed()
        if not self.reach(follower, found, seconds):
            raise StoreError(f"member {follower} has not caught up within {seconds:.0f} s: see MongoDB's log there")
        return found

    def committed_text(self) -> str:
        """The same, for people and reports."""
        moment = self.committed()
        return f"{moment.time}:{moment.inc}"


def _is_primary(client: Client) -> bool:
    return bool(client.command("hello").get("isWritablePrimary"))
