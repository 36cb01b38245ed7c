"""A small part of Meilisearch's HTTP interface; keys, indexes and documents are kept in one JSON file."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PORT = 7700
VERSION = "1.36.0-lab"


class Store:
    """What the server knows, written to disk after each change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.data: dict[str, Any] = {"keys": {}, "indexes": {}}
        if path.exists():
            self.data = json.loads(path.read_text(encoding="utf-8"))

    def save(self) -> None:
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps(self.data), encoding="utf-8")
        os.replace(draft, self.path)

    def add_key(self, key: dict[str, Any]) -> None:
        with self.lock:
            self.data["keys"][key["uid"]] = key
            self.save()

    def add_index(self, uid: str) -> None:
        with self.lock:
            self.data["indexes"].setdefault(uid, {})
            self.save()

    def add_documents(self, uid: str, documents: list[dict[str, Any]]) -> None:
        with self.lock:
            index = self.data["indexes"].setdefault(uid, {})
            for document in documents:
                index[str(document["id"])] = document
            self.save()


class Handler(BaseHTTPRequestHandler):
    """Routes of the stub; anything unknown is answered as Meilisearch answers it."""

    protocol_version = "HTTP/1.1"
    store: Store

    def answer(self, status: int, body: object) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def read_body(self) -> Any:
        size = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(size) or b"{}")

    def do_GET(self) -> None:
        data = self.store.data
        match self.path.split("?")[0].strip("/").split("/"):
            case ["health"]:
                self.answer(200, {"status": "available"})
            case ["version"]:
                self.answer(200, {"pkgVersion": VERSION})
            case ["keys", uid] if uid in data["keys"]:
                self.answer(200, data["keys"][uid])
            case ["indexes"]:
                self.answer(200, {"results": [{"uid": uid} for uid in data["indexes"]]})
            case ["indexes", uid] if uid in data["indexes"]:
                self.answer(200, {"uid": uid})
            case ["indexes", uid, "documents"] if uid in data["indexes"]:
                self.answer(200, {"results": list(data["indexes"][uid].values())})
            case ["indexes", uid, "documents", key] if key in data["indexes"].get(uid, {}):
                self.answer(200, data["indexes"][uid][key])
            case _:
                self.answer(404, {"message": "not found", "code": "not_found"})

    def do_POST(self) -> None:
        body = self.read_body()
        match self.path.split("?")[0].strip("/").split("/"):
            case ["keys"]:
                self.store.add_key(body)
                self.answer(201, body)
            case ["indexes"]:
                self.store.add_index(body["uid"])
                self.answer(202, {"taskUid": 1})
            case ["indexes", uid, "documents"]:
                self.store.add_documents(uid, body)
                self.answer(202, {"taskUid": 1})
            case ["indexes", _, *_]:
                self.answer(202, {"taskUid": 1})
            case _:
                self.answer(404, {"message": "not found", "code": "not_found"})

    do_PUT = do_PATCH = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing about single requests."""


def main() -> None:
    Handler.store = Store(Path(os.environ.get("MEILI_DB_PATH", "/meili_data")) / "lab-stub.json")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()


if __name__ == "__main__":
    main()
