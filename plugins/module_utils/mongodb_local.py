# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The local end: the MongoDB container that Tutor runs.

It is asked at its own address, in the clear and without a login: the way never leaves this host, and Tutor's MongoDB
asks nobody who he is, not even as a member of a set (`--transitionToAuth`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from .docker import Docker, DockerError, gateways
from .local_container import address_of
from .mongodb_client import Client, plain
from .mongodb_node import NodeState, is_let_in, look, users
from .mongodb_settings import MongodbSettings
from .paths import sync_directory
from .stores.base import StoreError, Unreachable

#: What the container reads from its data directory, which survives its being made anew.
KEYFILE, CERTIFICATE, AUTHORITY = "tutorops.keyfile", "tutorops.pem", "tutorops-ca.pem"

#: How often docker is asked again where the container is.
_LOOK_SECONDS = 2.0


class LocalNode:
    """The container, wherever it is now."""

    def __init__(
        self,
        settings: MongodbSettings,
        docker: Docker | None = None,
        connect: Callable[..., Client] = Client,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._docker = docker or Docker()
        self._connect = connect
        self._clock = clock
        self._kept: tuple[str, Client] | None = None
        self._looked = float("-inf")

    def address(self) -> str:
        """Where the container is now."""
        return address_of(self._docker, self._settings.compose_project, self._settings.service)

    def networks(self) -> list[str]:
        """The networks (as CIDR) that Tutor's containers live in."""
        try:
            return self._docker.subnets(self._settings.compose_project)
        except DockerError as problem:
            raise Unreachable(str(problem)) from problem

    def gateways(self) -> list[str]:
        """The addresses from which containers see this host, and so the edge: the first of each of their networks."""
        return gateways(self.networks())

    def client(self) -> Client:
        """The kept way to the container. One that was made anew has another address."""
        if self._kept is None or self._clock() - self._looked > _LOOK_SECONDS:
            address = self.address()
            self._looked = self._clock()
            if self._kept is None or self._kept[0] != address:
                self.let_go()
                self._kept = (address, self.dial(address=address))
        return self._kept[1]

    def dial(self, timeout: float = 5.0, address: str | None = None) -> Client:
        """A way to the container for the caller alone."""
        return self._connect(address or self.address(), self._settings.service_port, timeout=timeout)

    def let_go(self) -> None:
        """Forget the kept way."""
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None

    def state(self) -> NodeState:
        """What it says of itself."""
        try:
            return look(self._settings.local_host, self.client())
        except StoreError as problem:
            return NodeState(self._settings.local_host, reachable=False, error=str(problem))

    # Files

    def files(self) -> dict[str, str]:
        """What the container has to find in its data directory."""
        settings = self._settings
        try:
            certificate, key, authority = (
                Path(path).read_text(encoding="utf-8")
                for path in (settings.source_certificate, settings.source_key, settings.ca)
            )
        except OSError as problem:
            raise StoreError(
                f"the certificate of the MongoDB container cannot be read on the app server ({problem}): run "
                "offload.yml, which makes it"
            ) from problem
        return {
            KEYFILE: plain(settings.keyfile) + "\n",
            CERTIFICATE: certificate.rstrip() + "\n" + key,
            AUTHORITY: authority,
        }

    def place_files(self) -> bool:
        """Put them there, for the data's owner alone; says whether anything was missing."""
        folder = self._settings.data
        try:
            owner = folder.stat()
            changed = [
                _place(folder / name, content, owner.st_uid, owner.st_gid) for name, content in self.files().items()
            ]
        except OSError as problem:
            raise StoreError(
                f"{folder}, where Tutor keeps MongoDB's data, cannot be written ({problem}): correct tutor_root"
            ) from problem
        return any(changed)

    def remove_files(self) -> bool:
        """Take them away; says whether any was there."""
        found = [path for path in (self._settings.data / name for name in self.files()) if path.exists()]
        for path in found:
            path.unlink()
        return bool(found)

    # Accounts

    def make_accounts(self) -> bool:
        """Make the platform's account and the administrator's, or give them their passwords; says whether need was."""
        settings = self._settings
        readers = [{"role": "readWrite", "db": name} for name in settings.databases]
        wanted = (
            (settings.admin_user, settings.admin_password, [{"role": "root", "db": "admin"}]),
            (settings.app_user, settings.app_password, readers),
        )
        return any([self._make_account(*one) for one in wanted])  # noqa: C419 each of them, not up to the first

    def drop_accounts(self) -> bool:
        """Take the accounts away; says whether any was there."""
        known = users(self.client())
        found = [name for name in (self._settings.admin_user, self._settings.app_user) if f"admin.{name}" in known]
        for name in found:
            self.client().command("dropUser", name)
        return bool(found)

    def has_accounts(self) -> bool:
        """Whether both accounts are there."""
        known = users(self.client())
        return all(f"admin.{name}" in known for name in (self._settings.admin_user, self._settings.app_user))

    def _make_account(self, user: str, password: str, roles: list[dict[str, str]]) -> bool:
        found = self.client().command("usersInfo", {"user": user, "db": "admin"})["users"]
        if not found:
            self.client().command("createUser", user, pwd=password, roles=roles)
            return True
        held = {(one["role"], one["db"]) for one in found[0]["roles"]}
        if {(one["role"], one["db"]) for one in roles} <= held and self._gets_in(user, password):
            return False
        self.client().command("updateUser", user, pwd=password)
        self.client().command("grantRolesToUser", user, roles=roles)
        return True

    def _gets_in(self, user: str, password: str) -> bool:
        with self._connect(self.address(), self._settings.service_port, user=user, password=password) as client:
            return is_let_in(client)


def _place(path: Path, content: str, uid: int, gid: int) -> bool:
    """Write a file of secrets that only its owner may read; says whether it was otherwise."""
    try:
        found = path.stat()
        if (found.st_uid, found.st_mode & 0o777) == (uid, 0o400) and path.read_text(encoding="utf-8") == content:
            return False
    except FileNotFoundError:
        pass
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchown(file.fileno(), uid, gid)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)
    return True
