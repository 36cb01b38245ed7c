# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Redis tells of itself, read: INFO, CLIENT LIST and lists of pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: What refuses every write of a master, whoever follows it, and leaves replication alone.
FENCED_REPLICAS = 99
#: A replica's last sign of life that counts for that, in seconds.
FENCED_LAG = 10


@dataclass(frozen=True)
class Replication:
    """The place of a server in replication."""

    role: str
    replid: str
    offset: int
    replid2: str = ""
    second_offset: int = -1
    host: str = ""
    port: int = 0
    link_up: bool = False
    syncing: bool = False
    good_replicas: int = 0
    replicas: tuple[tuple[str, int, int], ...] = ()
    backlog_first: int = 0
    backlog_size: int = 0
    backlog_held: int = 0

    @property
    def master(self) -> bool:
        """Whether it follows nobody."""
        return self.role == "master"

    @property
    def position(self) -> str:
        """Where it stands."""
        return f"{self.replid}:{self.offset}"

    def has(self, position: str) -> bool:
        """Whether everything up to a position of this history, or of the one it comes from, is here."""
        replid, offset = split_position(position)
        if replid == self.replid:
            return self.offset >= offset
        return replid == self.replid2 and offset < self.second_offset <= self.offset + 1

    def continues(self, position: str) -> bool:
        """Whether a server at that position can go on from here without a full copy."""
        replid, offset = split_position(position)
        same = replid == self.replid or (replid == self.replid2 and offset < self.second_offset)
        return same and self.backlog_first > 0 and self.backlog_first <= offset + 1 <= self.offset + 1


def split_position(position: str) -> tuple[str, int]:
    """The history and the offset in it."""
    replid, _, offset = position.partition(":")
    return replid, int(offset or 0)


def parse_info(text: str) -> dict[str, str]:
    """INFO as a mapping."""
    rows = (line.partition(":") for line in text.splitlines() if ":" in line and not line.startswith("#"))
    return {name: value.strip() for name, _, value in rows}


def replication(info: Mapping[str, str]) -> Replication:
    """The part on replication."""
    master = info.get("role") == "master"
    replicas = []
    for name, value in info.items():
        if name.startswith("slave") and name[5:].isdigit():
            told = dict(part.partition("=")[::2] for part in value.split(","))
            if told.get("state") == "online":
                replicas.append((told.get("ip", ""), int(told.get("port", 0)), int(told.get("offset", 0))))
    return Replication(
        role=info.get("role", ""),
        replid=info.get("master_replid", ""),
        offset=int((info.get("master_repl_offset") if master else info.get("slave_repl_offset")) or 0),
        replid2=info.get("master_replid2", ""),
        second_offset=int(info.get("second_repl_offset", -1)),
        host=info.get("master_host", ""),
        port=int(info.get("master_port", 0)),
        link_up=info.get("master_link_status") == "up",
        syncing=info.get("master_sync_in_progress") == "1",
        good_replicas=int(info.get("min_slaves_good_slaves", len(replicas))),
        replicas=tuple(replicas),
        backlog_first=int(info.get("repl_backlog_first_byte_offset", 0)),
        backlog_size=int(info.get("repl_backlog_size", 0)),
        backlog_held=int(info.get("repl_backlog_histlen", 0)),
    )


def parse_clients(text: str) -> list[dict[str, str]]:
    """CLIENT LIST as mappings."""
    return [dict(word.partition("=")[::2] for word in line.split(" ")) for line in text.splitlines() if line.strip()]


def pairs(answer: Sequence[Any]) -> dict[str, str]:
    """A flat list of names and values as a mapping."""
    words = [word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word) for word in answer]
    return dict(zip(words[::2], words[1::2], strict=False))


def keys_by_database(info: Mapping[str, str]) -> dict[int, int]:
    """How many keys each database holds."""
    return {
        int(name[2:]): int(dict(part.partition("=")[::2] for part in value.split(",")).get("keys", 0))
        for name, value in info.items()
        if name.startswith("db") and name[2:].isdigit()
    }


def series(version: str) -> tuple[int, int]:
    """The two numbers of a version between which data may not go down."""
    numbers = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)
