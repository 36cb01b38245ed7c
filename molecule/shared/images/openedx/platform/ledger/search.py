"""The search engine of the release: Meilisearch, or Elasticsearch before it."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import Any, Protocol

import meilisearch
from django.conf import settings


class Engine(Protocol):
    """What the ledger needs of a search engine."""

    def add(self, document: dict[str, str]) -> None:
        """Index one document."""

    def documents(self, prefix: str) -> list[dict[str, str]]:
        """Documents whose key begins with a prefix, possibly with others."""

    def check(self) -> None:
        """Raise unless the engine answers."""


class Meilisearch:
    """Open edX from Tutor 19 on."""

    def __init__(self) -> None:
        self.client = meilisearch.Client(settings.MEILISEARCH_URL, settings.MEILISEARCH_API_KEY)
        self.index = f"{settings.MEILISEARCH_INDEX_PREFIX}ledger"

    def add(self, document: dict[str, str]) -> None:
        self.client.call("POST", f"/indexes/{self.index}/documents", [document])

    def documents(self, prefix: str) -> list[dict[str, str]]:
        query = urllib.parse.urlencode({"limit": 1_000_000, "filter": f"key STARTS WITH {json.dumps(prefix)}"})
        found: list[dict[str, str]] = self.client.call("GET", f"/indexes/{self.index}/documents?{query}")["results"]
        return found

    def check(self) -> None:
        self.client.health()


class Elasticsearch:
    """Open edX up to Tutor 18."""

    def call(self, method: str, path: str, body: object = None) -> Any:
        host = settings.ELASTIC_SEARCH_CONFIG[0]
        scheme = "https" if host.get("use_ssl") else "http"
        request = urllib.request.Request(
            f"{scheme}://{host['host']}:{host['port']}{path}",
            method=method,
            data=json.dumps(body).encode() if body else None,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def add(self, document: dict[str, str]) -> None:
        self.call("PUT", f"/ledger/_doc/{document['id']}?refresh=wait_for", document)

    def documents(self, prefix: str) -> list[dict[str, str]]:
        query = {"query": {"prefix": {"key": prefix}}, "size": 1_000_000}
        return [hit["_source"] for hit in self.call("POST", "/ledger/_search", query)["hits"]["hits"]]

    def check(self) -> None:
        self.call("GET", "/")


def engine() -> Engine:
    """The engine that Tutor's settings name."""
    return Meilisearch() if getattr(settings, "MEILISEARCH_ENABLED", False) else Elasticsearch()
