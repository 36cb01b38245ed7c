# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a host that is, or shall become, a member of a replica set. Changes nothing, and works on a bare host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .host_facts import Found, HostFacts, HostQuestion
from .mongodb_client import Client
from .mongodb_config import join_host
from .mongodb_node import NodeState, look
from .packages import Run, run
from .stores.base import StoreError

#: What the role writes first into the server's configuration: by it the role knows its own hosts again.
MARK = "# Kept by the role tutorops.scale.mongodb."


@dataclass(frozen=True)
class Question(HostQuestion):
    """What to read."""

    port: int = 27017
    package: str = "mongodb-org-server"
    service: str = "mongod"
    data_dir: str = "/var/lib/mongodb"
    config_file: str = "/etc/mongod.conf"
    keyfile: str = field(default="", repr=False)
    ca: str = ""
    pem: str = ""
    pem_parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostState(Found):
    """What was found."""

    configured: bool
    pem_settled: bool
    state: str | None
    set_name: str | None
    server_version: str | None


class Host:
    """The host on which this runs."""

    def __init__(
        self,
        question: Question,
        run: Run = run,
        root: Path = Path("/"),
        connect: Callable[..., Client] = Client,
    ) -> None:
        self._asked = question
        self._facts = HostFacts(run, root)
        self._connect = connect

    def read(self) -> HostState:
        """Read everything once."""
        asked, facts = self._asked, self._facts
        common = facts.read(asked, ("mongod",))
        node = self._node() if common.service_active else None
        return HostState(
            **vars(common),
            configured=facts.holds(asked.config_file, MARK),
            pem_settled=self._pem_settled(),
            state=node.state if node else None,
            set_name=(node.set_name or None) if node else None,
            server_version=node.version if node else None,
        )

    def _pem_settled(self) -> bool:
        """Whether the file of certificate and key is made of its parts, and has owner and mode of the last, the key."""
        pem, *parts = map(self._facts.path, (self._asked.pem, *self._asked.pem_parts))
        try:
            made, key = pem.lstat(), parts[-1].lstat()
            wanted = b"\n".join(part.read_bytes().removesuffix(b"\n") for part in parts)
            return (made.st_mode, made.st_uid, made.st_gid) == (key.st_mode, key.st_uid, key.st_gid) and (
                pem.read_bytes().removesuffix(b"\n") == wanted
            )
        except (OSError, IndexError):
            return False

    def _node(self) -> NodeState | None:
        """Ask MongoDB itself; not possible before the role has run, nor while it does not answer."""
        asked = self._asked
        ca = self._facts.path(asked.ca) if asked.ca else None
        if not asked.keyfile or ca is None or not ca.is_file():
            return None
        try:
            with self._connect(asked.address, asked.port, keyfile=asked.keyfile, ca=str(ca)) as client:
                found = look(join_host(asked.address, asked.port), client)
                return found if found.reachable else None
        except StoreError:
            return None
