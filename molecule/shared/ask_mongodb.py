#!/usr/bin/env python3
"""ask_mongodb.py ADDRESS [PORT]: what a MongoDB server says of itself to anybody, as JSON. Runs on a host with pymongo.

{"answers": false} for a server that does not; {"leads", "follows", "set", "primary", "members"} otherwise.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

_SECONDS = 3000


def hello(address: str, port: int, tls: bool) -> dict[str, Any]:
    """Ask one server, and nobody that it names; nobody's certificate matters to somebody who only looks."""
    options: dict[str, Any] = {"tls": True, "tlsAllowInvalidCertificates": True} if tls else {}
    client: MongoClient[dict[str, Any]] = MongoClient(
        address,
        port,
        directConnection=True,
        connectTimeoutMS=_SECONDS,
        socketTimeoutMS=_SECONDS,
        serverSelectionTimeoutMS=_SECONDS,
        **options,
    )
    with client:
        return client.admin.command("hello")


def ask(address: str, port: int) -> dict[str, Any]:
    """Ask with TLS, and without where there is none."""
    for tls in (True, False):
        try:
            found = hello(address, port, tls)
        except PyMongoError:
            continue
        return {
            "answers": True,
            "leads": bool(found.get("isWritablePrimary")),
            "follows": bool(found.get("secondary")),
            "set": found.get("setName"),
            "primary": found.get("primary"),
            "members": sorted([*found.get("hosts", []), *found.get("passives", [])]),
        }
    return {"answers": False, "leads": False, "follows": False, "set": None, "primary": None, "members": []}


if __name__ == "__main__":
    print(json.dumps(ask(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 27017)))
