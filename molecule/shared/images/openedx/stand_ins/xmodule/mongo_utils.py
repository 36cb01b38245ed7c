"""How the platform connects to MongoDB."""

from __future__ import annotations

from typing import Any

import pymongo
from pymongo.database import Database as AnyDatabase

Document = dict[str, Any]
Database = AnyDatabase[Document]


def connect_to_mongodb(
    db: str,
    host: str,
    port: int = 27017,
    tz_aware: bool = True,
    user: str | None = None,
    password: str | None = None,
    **others: Any,
) -> Database:
    """Pass on to MongoClient all that the settings hold, under the names that it knows."""
    names = {name for name in others if name.lower() == "authsource"}
    auth_source = next((others[name] for name in names if others[name]), db)
    options = {name: value for name, value in others.items() if name not in names}
    if options.get("replicaSet") == "":
        options["replicaSet"] = None
    # A name without a password, and the other way round, is no account.
    if user is not None and password is not None:
        options |= {"username": user, "password": password, "authSource": auth_source}
    client: pymongo.MongoClient[Document] = pymongo.MongoClient(host=host, port=port, tz_aware=tz_aware, **options)
    return client[db]
