# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to a Redis server or a Sentinel: bounded in time, verified by TLS, with errors for an operator.

Answers come as Redis sends them, texts as ``bytes``: redis-py turns them into other things in every release.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

from .stores.base import StoreError, Unreachable

Command = Sequence["str | bytes | int | float"]

#: What a server says while it cannot say anything yet.
_STARTING = ("LOADING", "MASTERDOWN")


class RedisError(StoreError):
    """The server refused a command; ``code`` is the first word of what it said."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Connection:
    """An open connection; the constructor connects and logs in.

    With ``ca`` it is encrypted, and the certificate must come from that authority and name ``host``. ``timeout`` bounds
    connecting and every single answer. Without ``user`` nobody logs in: the server's default user answers.
    """

    def __init__(
        self,
        host: str,
        port: int = 6379,
        user: str = "",
        password: str = "",
        ca: str | None = None,
        timeout: float = 10.0,
        database: int = 0,
    ) -> None:
        self.server = f"{host}:{port}"
        self._user = user or "default"
        library = _library()
        self._timeouts = (library.exceptions.TimeoutError,)
        self._errors = (library.exceptions.RedisError, OSError, ValueError)
        self._refused = library.exceptions.ResponseError
        given: dict[str, Any] = {
            "host": host,
            "port": port,
            "db": database,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
        }
        if user:
            given |= {"username": user, "password": password}
        if int(str(library.__version__).split(".", maxsplit=1)[0]) >= 5:
            given["protocol"] = 2
        kind = library.connection.Connection
        if ca is not None:
            kind = library.connection.SSLConnection
            given |= {"ssl_cert_reqs": "required", "ssl_ca_certs": ca, "ssl_check_hostname": True}
        self._connection = kind(**given)
        try:
            self._connection.connect()
        except self._errors as problem:
            self.close()
            raise self._explained(problem) from problem

    def call(self, *words: str | bytes | int | float) -> Any:
        """What the server answers to a command."""
        try:
            self._connection.send_command(*words)
            return self._connection.read_response()
        except self._errors as problem:
            raise self._explained(problem) from problem

    def text(self, *words: str | bytes | int | float) -> str:
        """The same, where the answer is one text."""
        answer = self.call(*words)
        return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer or "")

    def batch(self, commands: Iterable[Command]) -> list[Any]:
        """The answers to many commands in one go; a refusal stands in the place of its answer."""
        asked = list(commands)
        if not asked:
            return []
        answers: list[Any] = []
        try:
            self._connection.send_packed_command(self._connection.pack_commands([list(one) for one in asked]))
            for _ in asked:
                try:
                    answers.append(self._connection.read_response())
                except self._refused as problem:
                    answers.append(self._explained(problem))
        except self._errors as problem:
            raise self._explained(problem) from problem
        return answers

    def close(self) -> None:
        """End the session; harmless when it has ended already."""
        with contextlib.suppress(*self._errors):
            self._connection.disconnect()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _explained(self, problem: BaseException) -> StoreError:
        cause: BaseException | None = problem
        while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
            cause = cause.__cause__ or cause.__context__
        if cause is not None:
            return StoreError(
                f"Redis at {self.server} showed a certificate that cannot be trusted ({cause.verify_message}): it must "
                "come from the given authority and name this address"
            )
        text = str(problem)
        kind = type(problem).__name__
        if kind in ("AuthenticationError", "AuthenticationWrongNumberOfArgsError") or text.startswith("WRONGPASS"):
            return RedisError(f"Redis at {self.server} refused the password of user '{self._user}'", "WRONGPASS")
        refused = isinstance(problem, self._refused) and kind not in ("BusyLoadingError", "MasterDownError")
        if not refused or text.startswith(_STARTING):
            return Unreachable(f"Redis at {self.server} does not answer ({text or 'the connection is closed'})")
        # redis-py cuts the first word off where it has an exception of its own for it.
        code = _CODES.get(kind, text.split(" ", 1)[0])
        return RedisError(f"Redis at {self.server} refused user '{self._user}': {text}", code)


_CODES = {
    "ReadOnlyError": "READONLY",
    "NoPermissionError": "NOPERM",
    "NoScriptError": "NOSCRIPT",
    "OutOfMemoryError": "OOM",
}


def _library() -> Any:
    try:
        import redis
        import redis.connection
        import redis.exceptions
    except ImportError as problem:
        raise StoreError("redis-py is missing for this host's Python: install the package python3-redis") from problem
    return redis
