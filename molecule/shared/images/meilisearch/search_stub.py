"""A small part of the HTTP interfaces of Meilisearch and Elasticsearch: keys, indexes, documents found by their key.

What it is told is appended to a journal before it answers, and read back when it starts.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MEILISEARCH_PORT = 7700
ELASTICSEARCH_PORT = 9200
DIRECTORIES = (os.environ.get("MEILI_DB_PATH", "/meili_data"), "/usr/share/elasticsearch/data")
"""Where Tutor mounts the data of the one or the other."""
VERSION = "1.36.0-lab"


class Store:
    """Keys, and the documents of each index."""

    def __init__(self, path: Path) -> None:
        self.lock = threading.Lock()
        self.keys: dict[str, Any] = {}
        self.indexes: dict[str, dict[str, Any]] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                self.apply(*json.loads(line))
        self.journal = path.open("a", encoding="utf-8")

    def apply(self, kind: str, name: str, content: Any) -> None:
        """Take one change over."""
        match kind:
            case "key":
                self.keys[name] = content
            case "index":
                self.indexes.setdefault(name, {})
            case "document":
                self.indexes.setdefault(name, {})[str(content["id"])] = content

    def change(self, kind: str, name: str, content: Any = None) -> None:
        """Write one change to the journal, then take it over."""
        with self.lock:
            self.journal.write(json.dumps([kind, name, content]) + "\n")
            self.journal.flush()
            self.apply(kind, name, content)

    def find(self, index: str, prefix: str) -> list[Any]:
        """Documents whose `key` begins with a prefix."""
        with self.lock:
            documents = list(self.indexes.get(index, {}).values())
        return [document for document in documents if str(document.get("key", "")).startswith(prefix)]


class Handler(BaseHTTPRequestHandler):
    """Routes of both engines; anything unknown is answered as Meilisearch answers it."""

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

    def parts(self) -> list[str]:
        return urllib.parse.urlsplit(self.path).path.strip("/").split("/")

    def prefix(self) -> str:
        """The one filter of Meilisearch that is known here: `key STARTS WITH "..."`."""
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        found = re.fullmatch(r"key STARTS WITH (\".*\")", query.get("filter", [""])[0])
        return str(json.loads(found[1])) if found else ""

    def do_GET(self) -> None:
        match self.parts():
            case [""]:
                self.answer(200, {"version": {"number": "7.17.29-lab"}})
            case ["health"]:
                self.answer(200, {"status": "available"})
            case ["version"]:
                self.answer(200, {"pkgVersion": VERSION})
            case ["keys", uid] if uid in self.store.keys:
                self.answer(200, self.store.keys[uid])
            case ["indexes"]:
                self.answer(200, {"results": [{"uid": uid} for uid in self.store.indexes]})
            case ["indexes", uid] if uid in self.store.indexes:
                self.answer(200, {"uid": uid})
            case ["indexes", uid, "documents"]:
                self.answer(200, {"results": self.store.find(uid, self.prefix())})
            case _:
                self.answer(404, {"message": "not found", "code": "not_found"})

    def do_POST(self) -> None:
        body = self.read_body()
        match self.parts():
            case ["keys"]:
                self.store.change("key", body["uid"], body)
                self.answer(201, body)
            case ["indexes"]:
                self.store.change("index", body["uid"])
                self.answer(202, {"taskUid": 1})
            case ["indexes", uid, "documents"]:
                for document in body:
                    self.store.change("document", uid, document)
                self.answer(202, {"taskUid": 1})
            case ["indexes", _, *_]:
                self.answer(202, {"taskUid": 1})
            case [index, "_doc", _]:
                self.store.change("document", index, body)
                self.answer(201, {"result": "created"})
            case [index, "_search"]:
                found = self.store.find(index, body["query"]["prefix"]["key"])
                self.answer(200, {"hits": {"hits": [{"_source": document} for document in found]}})
            case _:
                self.answer(404, {"message": "not found", "code": "not_found"})

    do_PUT = do_PATCH = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing about single requests."""


def main() -> None:
    """Serve both interfaces until a signal to stop arrives."""
    directory = next(Path(path) for path in DIRECTORIES if Path(path).is_dir())
    Handler.store = Store(directory / "lab-stub.jsonl")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    elasticsearch = ThreadingHTTPServer(("0.0.0.0", ELASTICSEARCH_PORT), Handler)
    threading.Thread(target=elasticsearch.serve_forever, daemon=True).start()
    ThreadingHTTPServer(("0.0.0.0", MEILISEARCH_PORT), Handler).serve_forever()


if __name__ == "__main__":
    main()
