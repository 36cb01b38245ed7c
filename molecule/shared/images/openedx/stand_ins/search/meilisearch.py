"""The function that Tutor's init job calls."""

from __future__ import annotations

import meilisearch
from django.conf import settings


def create_indexes() -> None:
    """Create the index of course content."""
    client = meilisearch.Client(settings.MEILISEARCH_URL, settings.MEILISEARCH_API_KEY)
    uid = f"{settings.MEILISEARCH_INDEX_PREFIX}courseware_content"
    client.call("POST", "/indexes", {"uid": uid, "primaryKey": "id"})
