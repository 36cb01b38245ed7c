# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to a MySQL server: bounded in time, verified by TLS, and with errors that an operator can read."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from .stores.base import StoreError, Unreachable

#: Codes that the client library itself gives: no connection, a lost one, no answer in time.
_CLIENT_ERRORS = range(2000, 3000)
#: Codes of a server that is going down or has ended this session.
_GOING_DOWN = frozenset({1053, 1079, 1080, 3169, 4031})
_PARSE_ERROR = 1064


class MysqlError(StoreError):
    """The server refused a statement; ``code`` is MySQL's error number."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Connection:
    """An open connection in autocommit mode; the constructor connects.

    Over TCP the session is always encrypted. With ``ca`` the certificate must come from that authority and name the
    host or IP address that was asked for. ``timeout`` bounds connecting and every single answer. ``via`` is where to
    connect when ``host`` only names what the certificate has to name.
    """

    def __init__(
        self,
        host: str = "",
        port: int = 3306,
        user: str = "",
        password: str = "",
        ca: str | None = None,
        unix_socket: str | None = None,
        timeout: float = 10.0,
        via: tuple[str, int] | None = None,
    ) -> None:
        self.server = unix_socket or "{}:{}".format(*(via or (host, port)))
        self._user = user
        pymysql = _library()
        self._errors = (pymysql.err.Error, OSError)
        self._streaming = pymysql.cursors.SSCursor
        where = {"unix_socket": unix_socket} if unix_socket else {"host": host, "port": port, "ssl": _context(ca)}
        try:
            self._connection = _encrypted(pymysql)(
                user=user,
                password=password.encode(),
                charset="utf8mb4",
                autocommit=True,
                local_infile=False,
                program_name="tutorops",
                connect_timeout=timeout,
                read_timeout=timeout,
                write_timeout=timeout,
                cursorclass=pymysql.cursors.DictCursor,
                defer_connect=True,
                **where,
            )
            self._connection.connect(_reached(via, timeout) if via else None)
        except self._errors as problem:
            raise self._explained(problem) from problem

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a statement. ``args`` replace ``%s``; without them a ``%`` stands for itself."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, tuple(args) or None)
                return list(cursor.fetchall())
        except self._errors as problem:
            raise self._explained(problem) from problem

    def value(self, sql: str, args: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None without one."""
        rows = self.query(sql, args)
        return next(iter(rows[0].values())) if rows else None

    def raw(self, sql: str, args: Sequence[Any] = ()) -> Iterator[tuple[bytes | None, ...]]:
        """The rows of a statement as the server sends them, one at a time, so that any number fits into memory."""
        session = self._connection
        kept = session.use_unicode, session.decoders
        try:
            with session.cursor(self._streaming) as cursor:
                try:
                    # What is to be decoded is settled when the answer begins.
                    session.use_unicode, session.decoders = False, {}
                    cursor.execute(sql, tuple(args) or None)
                finally:
                    session.use_unicode, session.decoders = kept
                while (row := cursor.fetchone()) is not None:
                    yield row
        except self._errors as problem:
            raise self._explained(problem) from problem

    def execute(self, sql: str | bytes, args: Sequence[Any] = ()) -> int:
        """Run a statement; returns how many rows it changed."""
        try:
            with self._connection.cursor() as cursor:
                return int(cursor.execute(sql, tuple(args) or None))
        except self._errors as problem:
            raise self._explained(problem) from problem

    def close(self) -> None:
        """End the session; harmless when it has ended already."""
        with contextlib.suppress(*self._errors):
            self._connection.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _explained(self, problem: BaseException) -> StoreError:
        code = problem.args[0] if problem.args and isinstance(problem.args[0], int) else 0
        text = str(problem.args[1]) if len(problem.args) > 1 else str(problem)
        cause = getattr(problem, "original_exception", problem)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return StoreError(
                f"MySQL at {self.server} showed a certificate that cannot be trusted ({cause.verify_message}): it must "
                "come from the given authority and name this address"
            )
        if code == 0 or code in _CLIENT_ERRORS or code in _GOING_DOWN:
            return Unreachable(f"MySQL at {self.server} does not answer ({text or 'the connection is closed'})")
        if code == _PARSE_ERROR:
            # The server quotes the statement, which may hold a password.
            text = "syntax error"
        return MysqlError(f"MySQL at {self.server} refused user '{self._user}': {text} (error {code})", code)


def _reached(address: tuple[str, int], timeout: float) -> socket.socket:
    channel = socket.create_connection(address, timeout)
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return channel


def _library() -> Any:
    try:
        import pymysql
        import pymysql.cursors
    except ImportError as problem:
        raise StoreError("PyMySQL is missing for this host's Python: install the package python3-pymysql") from problem
    return pymysql


def _context(ca: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as problem:
        raise StoreError(f"the certificate authority's file {ca} cannot be read: {problem}") from problem
    if ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _encrypted(pymysql: Any) -> Any:
    """PyMySQL's connection; old releases silently went on in the clear when a server offered no TLS."""

    class Encrypted(pymysql.connections.Connection):  # type: ignore[misc]
        def _get_server_information(self) -> None:
            super()._get_server_information()
            offered = self.server_capabilities & pymysql.constants.CLIENT.SSL
            if not self.unix_socket and not offered:
                raise pymysql.err.OperationalError(3159, "the server offers no TLS; give it a certificate")

    return Encrypted
