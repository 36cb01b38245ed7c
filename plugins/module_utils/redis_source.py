# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make Tutor's Redis container ready to be followed, at run time, and undo it.

Its accounts stand in the file that it reads when it starts, too (Tutor's patch `redis-conf`), so a re-creation of the
container keeps them. Nothing restarts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from .redis_client import Connection, RedisError
from .redis_local import LocalEnd
from .redis_settings import HEALTH_USER, RedisSettings
from .stores.base import Progress, StoreError

#: What a platform's account may do.
APP_RULES = ("~*", "&*", "+@all", "-@admin")
ADMIN_RULES = ("~*", "&*", "+@all")
REPLICATION_RULES = ("+psync", "+replconf", "+ping")
#: For a cluster that is cut off for a while, or a container that is made anew: enough to go on from there.
BACKLOG_BYTES = 64 * 1024 * 1024


def user_rules(settings: RedisSettings) -> dict[str, tuple[str, ...]]:
    """The accounts of the container, each with its rules as `ACL SETUSER` and the file take them."""

    def rules(password: str, *allowed: str) -> tuple[str, ...]:
        return ("on", "resetpass", "resetkeys", "resetchannels", "-@all", f"#{digest(password)}", *allowed)

    return {
        settings.app_user: rules(settings.app_password, *APP_RULES),
        settings.admin_user: rules(settings.admin_password, *ADMIN_RULES),
        settings.replication_user: rules(settings.replication_password, *REPLICATION_RULES),
        HEALTH_USER: ("on", "nopass", "resetkeys", "resetchannels", "-@all", "+ping", "+info"),
    }


def digest(password: str) -> str:
    """A password as Redis keeps it."""
    return hashlib.sha256(password.encode()).hexdigest()


class RedisSource:
    """The container as the origin of a copy."""

    def __init__(self, settings: RedisSettings, end: LocalEnd, connect: Callable[..., Connection] = Connection) -> None:
        self._settings = settings
        self._end = end
        self._connect = connect

    def prepared(self) -> bool:
        """Whether our administrator gets in and everything is as prepare() leaves it."""
        try:
            with self._end.login() as connection:
                return not self._missing(connection)
        except RedisError:
            return False

    def prepare(self, progress: Progress) -> bool:
        """Do what is missing; says whether anything was."""
        self._end.refuse_open_boot()
        progress("accounts", {})
        with self._enter() as connection:
            missing = self._missing(connection)
            for command in missing:
                connection.call(*command)
        return bool(missing)

    def undo(self) -> bool:
        """Take our accounts away again. The platform's own stays until the container's next start: it is in use."""
        settings = self._settings
        with self._enter() as connection:
            names = {settings.replication_user, settings.admin_user, HEALTH_USER}
            known = {one.decode() for one in connection.call("ACL", "USERS")}
            # Our own last: its removal ends this session.
            for name in sorted(names & known, key=lambda one: one == settings.admin_user):
                connection.call("ACL", "DELUSER", name)
        self._end.server.link.close()
        return bool(names & known)

    def _enter(self) -> Connection:
        """As our administrator, or as anybody while there is none."""
        settings = self._settings
        try:
            return self._end.login()
        except RedisError:
            pass
        try:
            return self._connect(
                host=self._end.address(),
                port=settings.service_port,
                user=settings.source_user,
                password=settings.source_password,
            )
        except RedisError as problem:
            raise StoreError(
                f"Tutor's Redis lets neither our administrator in nor the user that Tutor has for it ({problem}): give "
                "REDIS_USERNAME and REDIS_PASSWORD in Tutor the values that the server has"
            ) from problem

    def _missing(self, connection: Connection) -> list[tuple[str | int, ...]]:
        commands: list[tuple[str | int, ...]] = []
        for name, rules in user_rules(self._settings).items():
            if _lacks(connection.call("ACL", "GETUSER", name), rules):
                commands.append(("ACL", "SETUSER", name, *rules))
        held = connection.call("CONFIG", "GET", "repl-backlog-size")
        if int(held[1]) < BACKLOG_BYTES:
            commands.append(("CONFIG", "SET", "repl-backlog-size", BACKLOG_BYTES))
        return commands


def _lacks(answer: list[object] | None, rules: tuple[str, ...]) -> bool:
    if not answer:
        return True
    told = dict(zip(map(_text, answer[::2]), answer[1::2], strict=False))
    passwords = {_text(one) for one in told.get("passwords") or []}  # type: ignore[attr-defined]
    return {word[1:] for word in rules if word.startswith("#")} != passwords


def _text(word: object) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)
