# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One MongoDB server, asked directly: bounded in time, verified by TLS, and with errors that an operator can read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from .stores.base import StoreError, Unreachable

#: What the server's log and its list of operations call our connections.
APPLICATION = "tutorops"

#: Error codes of the server that decisions depend on.
UNAUTHORIZED, AUTHENTICATION_FAILED = 13, 18
NO_REPLICATION, NOT_IN_SET, NOT_INITIALIZED, ALREADY_INITIALIZED = 76, 93, 94, 23
SNAPSHOT_GONE = frozenset({239, 246})
USER_EXISTS, USER_UNKNOWN = 51003, 11

_SELECTION_SECONDS = 3.0


class MongodbError(StoreError):
    """The server refused a command; ``code`` is MongoDB's error number, 0 where it gave none."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Client:
    """The way to one server, whatever its state in a set; connects when it is first used, and again after a loss.

    With ``keyfile`` it logs in as the set's members do among themselves: that works at every moment of a member's life,
    also before there is any account and while the accounts are being copied. Without it nobody is logged in, which is
    what Tutor's own container asks for. With ``ca`` the session is encrypted, and the certificate must come from that
    authority and name ``address``. ``timeout`` bounds every single answer. One client may serve several threads.
    """

    def __init__(
        self,
        address: str,
        port: int = 27017,
        keyfile: str = "",
        user: str = "",
        password: str = "",
        ca: str | None = None,
        timeout: float = 5.0,
    ) -> None:
        self.server = f"{address}:{port}"
        pymongo = _library()
        self._errors = (pymongo.errors.PyMongoError, OSError)
        self._library = pymongo
        options: dict[str, Any] = {
            "directConnection": True,
            "appname": APPLICATION,
            "serverSelectionTimeoutMS": round(min(timeout, _SELECTION_SECONDS) * 1000),
            "connectTimeoutMS": round(min(timeout, _SELECTION_SECONDS) * 1000),
            "socketTimeoutMS": round(timeout * 1000),
            # A second try would take as long again; who asks knows better whether it makes sense.
            "retryReads": False,
            "retryWrites": False,
        }
        if ca:
            options.update(tls=True, tlsCAFile=ca)
        if keyfile:
            options.update(
                username="__system", password=plain(keyfile), authSource="local", authMechanism="SCRAM-SHA-256"
            )
        elif user:
            options.update(username=user, password=password, authSource="admin")
        try:
            self._client = pymongo.MongoClient(host=address, port=port, connect=False, **options)
        except self._errors as problem:
            raise StoreError(f"MongoDB at {self.server} cannot be asked: {problem}") from problem

    def command(self, name: str, value: Any = 1, database: str = "admin", **options: Any) -> dict[str, Any]:
        """Run a command and return its answer."""
        try:
            return dict(self._client[database].command(name, value, **options))
        except self._errors as problem:
            raise self._explained(problem) from problem

    def aggregate(self, pipeline: Sequence[dict[str, Any]], database: str = "admin") -> list[dict[str, Any]]:
        """What a pipeline gives that begins without a collection."""
        try:
            return list(self._client[database].aggregate(list(pipeline)))
        except self._errors as problem:
            raise self._explained(problem) from problem

    def listed(self, name: str, value: Any, database: str) -> list[dict[str, Any]]:
        """Everything that a command lists by a cursor, such as C(listCollections)."""
        answer = self.command(name, value, database, cursor={"batchSize": 1_000_000})
        return [dict(one) for one in answer["cursor"]["firstBatch"]]

    def drop_database(self, name: str) -> None:
        """Drop a database."""
        self.command("dropDatabase", database=name)

    def batches(self, database: str, collection: str, size: int, **find: Any) -> Iterator[list[bytes]]:
        """The documents that a find gives, as the server keeps them, in batches of ``size``."""
        asked = {"codec_options": _as_kept(), "read_preference": self._library.ReadPreference.SECONDARY_PREFERRED}
        try:
            with self._session() as session:
                target = self._client[database]
                answer = target.command("find", collection, batchSize=size, session=session, **find, **asked)
                cursor, part = answer["cursor"], "firstBatch"
                while True:
                    yield [one.raw for one in cursor[part]]
                    if not cursor["id"]:
                        return
                    answer = target.command(
                        "getMore", cursor["id"], collection=collection, batchSize=size, session=session, **asked
                    )
                    cursor, part = answer["cursor"], "nextBatch"
        except self._errors as problem:
            raise self._explained(problem) from problem

    @contextlib.contextmanager
    def _session(self) -> Iterator[Any]:
        """A session, which a cursor that is begun in one has to go on in; None for a hidden member.

        pymongo takes a hidden member for a server that knows no sessions, and then begins none by itself either.
        """
        with self._client.start_session(causal_consistency=False) as session:
            try:
                self._client["admin"].command("ping", session=session)
            except self._library.errors.ConfigurationError:
                session = None
            yield session

    def close(self) -> None:
        """End all connections; harmless when there are none."""
        with contextlib.suppress(*self._errors):
            self._client.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _explained(self, problem: BaseException) -> StoreError:
        text = str(problem)
        details = getattr(problem, "details", None)
        if isinstance(details, Mapping) and "code" in details:
            return MongodbError(
                f"MongoDB at {self.server} refused: {details.get('errmsg', text)} (error {details['code']})",
                int(details["code"]),
            )
        if "certificate verify failed" in text or "CERTIFICATE_VERIFY_FAILED" in text or "CertificateError" in text:
            return StoreError(
                f"MongoDB at {self.server} showed a certificate that cannot be trusted: it must come from the given "
                "authority and name this address"
            )
        errors = self._library.errors
        if isinstance(problem, (errors.ConnectionFailure, OSError)):
            return Unreachable(f"MongoDB at {self.server} does not answer ({text.partition(', Timeout')[0]})")
        return MongodbError(f"MongoDB at {self.server} cannot be asked: {text}", 0)


def plain(keyfile: str) -> str:
    """The key in a key file, which may be broken into lines."""
    return "".join(keyfile.split())


def _library() -> Any:
    try:
        import pymongo
        import pymongo.errors
    except ImportError as problem:
        raise StoreError("pymongo is missing for this host's Python: install the package python3-pymongo") from problem
    return pymongo


def _as_kept() -> Any:
    from bson.codec_options import CodecOptions
    from bson.raw_bson import RawBSONDocument

    return CodecOptions(document_class=RawBSONDocument)
