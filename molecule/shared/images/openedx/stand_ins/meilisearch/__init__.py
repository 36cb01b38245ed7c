"""The few calls of Meilisearch's client that Tutor's job and the platform make."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from . import errors

__all__ = ["Client", "errors"]


class Client:
    """Speaks to one server with one key."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.api_key = api_key

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send one request and return what came back."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise errors.MeilisearchApiError(f"{method} {path}: {error}") from error

    def health(self) -> Any:
        """Whether the server answers."""
        return self.call("GET", "/health")

    def get_key(self, uid: str) -> Any:
        """One key, or MeilisearchApiError."""
        return self.call("GET", f"/keys/{uid}")

    def create_key(self, options: dict[str, Any]) -> Any:
        """A new key."""
        return self.call("POST", "/keys", options)
