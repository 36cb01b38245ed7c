"""The stand-in for the search engines keeps what it acknowledged, and finds it by the start of its key."""

from __future__ import annotations

import importlib.util
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "molecule" / "shared" / "images" / "meilisearch" / "search_stub.py"
SPECIFICATION = importlib.util.spec_from_file_location("search_stub", SOURCE)
assert SPECIFICATION is not None and SPECIFICATION.loader is not None
search_stub = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(search_stub)


class Client:
    """Speaks JSON to a running stand-in."""

    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, data=data)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def found(self, index: str, prefix: str) -> list[str]:
        """Keys of the documents that Meilisearch's filter finds."""
        query = urllib.parse.urlencode({"filter": f"key STARTS WITH {json.dumps(prefix)}"})
        return [document["key"] for document in self("GET", f"/indexes/{index}/documents?{query}")["results"]]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A stand-in with an empty journal."""
    handler = type("Handler", (search_stub.Handler,), {"store": search_stub.Store(tmp_path / "journal")})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Client(server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


def test_meilisearch_finds_each_document_that_was_added(client: Client) -> None:
    client("POST", "/indexes/x/documents", [{"id": "1", "key": "a-1"}, {"id": "2", "key": "b-1"}])
    client("POST", "/indexes/x/documents", [{"id": "3", "key": "a-1"}])
    assert client.found("x", "a-") == ["a-1", "a-1"]
    assert client.found("x", "") == ["a-1", "b-1", "a-1"]
    assert client.found("other", "") == []


def test_elasticsearch_finds_each_document_that_was_added(client: Client) -> None:
    for number, key in enumerate(("a-1", "a-1", "b-1")):
        client("PUT", f"/ledger/_doc/{number}?refresh=wait_for", {"id": str(number), "key": key})
    found = client("POST", "/ledger/_search", {"query": {"prefix": {"key": "a"}}})["hits"]["hits"]
    assert [hit["_source"]["key"] for hit in found] == ["a-1", "a-1"]


def test_a_document_with_the_same_id_replaces_the_other(client: Client) -> None:
    for key in ("old", "new"):
        client("POST", "/indexes/x/documents", [{"id": "1", "key": key}])
    assert client.found("x", "") == ["new"]


def test_keys_are_unknown_until_they_are_made(client: Client) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        client("GET", "/keys/k")
    client("POST", "/keys", {"uid": "k", "name": "backend"})
    assert client("GET", "/keys/k")["name"] == "backend"


def test_what_was_acknowledged_survives_the_process(client: Client, tmp_path: Path) -> None:
    client("POST", "/keys", {"uid": "k"})
    client("POST", "/indexes", {"uid": "x"})
    client("POST", "/indexes/y/documents", [{"id": "1", "key": "a"}])
    again = search_stub.Store(tmp_path / "journal")
    assert (again.keys, again.indexes) == ({"k": {"uid": "k"}}, {"x": {}, "y": {"1": {"id": "1", "key": "a"}}})
