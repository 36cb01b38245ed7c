# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a replica set as it has to be, and the steps to it that MongoDB takes. Data only.

A member's *seat* says what it may do. An open end has a vote and can be elected. A closed end has no vote, so its loss
never costs the other end its majority, cannot be elected, and is hidden, so that no client reads from it either.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .stores.base import LOCAL

Config = Mapping[str, Any]

#: How many members of a set may vote.
MOST_VOTERS = 7
#: Measured: a primary that is frozen or cut off is replaced after 8 to 12 s, and a busy host elects for nothing below.
TIMES = {"electionTimeoutMillis": 5000, "heartbeatTimeoutSecs": 2}


@dataclass(frozen=True)
class Seat:
    """What a member may do."""

    votes: int
    priority: float
    hidden: bool

    @property
    def open(self) -> bool:
        """Whether it can be elected."""
        return self.votes > 0 and self.priority > 0


OPEN = Seat(1, 1, False)
CLOSED = Seat(0, 0, True)
#: Votes, and is not elected: what members are for the moment in which the work goes back to the local end.
VOTER = Seat(1, 0, False)


def join_host(address: str, port: int) -> str:
    """A member's name in a configuration."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def split_host(host: str) -> tuple[str, int]:
    """Address and port in such a name."""
    address, _, port = host.rpartition(":")
    return address.strip("[]"), int(port)


def hosts(config: Config) -> list[str]:
    """The names of all members."""
    return [str(member["host"]) for member in config["members"]]


def seat(member: Mapping[str, Any]) -> Seat:
    """What a member may do; what a configuration leaves out has MongoDB's default."""
    return Seat(int(member.get("votes", 1)), float(member.get("priority", 1)), bool(member.get("hidden", False)))


def seats(config: Config) -> dict[str, Seat]:
    """What each member may do."""
    return {str(member["host"]): seat(member) for member in config["members"]}


def at_rest(config: Config, serving: str, local: str) -> dict[str, Seat]:
    """The seats while one end serves and the other one follows. Priorities that somebody gave to open members stay."""
    wanted = {}
    for host, found in seats(config).items():
        serves = (host == local) == (serving == LOCAL)
        wanted[host] = Seat(1, found.priority if found.open else 1, False) if serves else CLOSED
    return wanted


def shared(config: Config, taking: str, local: str, primary: str) -> dict[str, Seat]:
    """The seats in which the primary can hand over to the end ``taking``, and to no other."""
    wanted = {}
    for host in hosts(config):
        takes = (host == local) == (taking == LOCAL)
        wanted[host] = OPEN if takes or host == primary else VOTER
    return wanted


def differing(config: Config, wanted: Mapping[str, Seat]) -> list[str]:
    """The members that sit otherwise."""
    return [host for host, found in seats(config).items() if host in wanted and found != wanted[host]]


def next_config(config: Config, wanted: Mapping[str, Seat]) -> dict[str, Any] | None:
    """The next configuration on the way, or None at its end.

    MongoDB lets one vote be given or taken at a time. All else goes at once, and first; votes are given before others
    are taken.
    """
    todo = differing(config, wanted)
    if not todo:
        return None
    found = seats(config)
    alike = [host for host in todo if found[host].votes == wanted[host].votes]
    given = [host for host in todo if found[host].votes < wanted[host].votes]
    return with_seats(config, {host: wanted[host] for host in alike or (given or todo)[:1]})


def with_seats(config: Config, wanted: Mapping[str, Seat]) -> dict[str, Any]:
    """A configuration's successor with some members seated otherwise."""
    made = successor(config)
    for member in made["members"]:
        if member["host"] in wanted:
            one = wanted[member["host"]]
            member.update(votes=one.votes, priority=one.priority, hidden=one.hidden)
    return made


def with_member(config: Config, host: str, one: Seat = CLOSED) -> dict[str, Any]:
    """A configuration's successor with one member more."""
    made = successor(config)
    number = max((int(member["_id"]) for member in made["members"]), default=-1) + 1
    made["members"].append(new_member(number, host, one))
    return made


def without_members(config: Config, gone: Iterable[str]) -> dict[str, Any]:
    """A configuration's successor without some members."""
    made, left_out = successor(config), set(gone)
    made["members"] = [member for member in made["members"] if member["host"] not in left_out]
    return made


def successor(config: Config) -> dict[str, Any]:
    """A copy with the next number."""
    made = copy.deepcopy(dict(config))
    made["version"] = int(config["version"]) + 1
    made.pop("term", None)
    return made


def new_member(number: int, host: str, one: Seat) -> dict[str, Any]:
    """A member as a configuration lists it."""
    return {"_id": number, "host": host, "votes": one.votes, "priority": one.priority, "hidden": one.hidden}


def first_config(set_name: str, members: Sequence[str]) -> dict[str, Any]:
    """What a set begins with."""
    listed = [new_member(number, host, OPEN) for number, host in enumerate(members)]
    return {"_id": set_name, "version": 1, "members": listed, "settings": dict(TIMES)}
