"""The error that Tutor's job expects."""

from __future__ import annotations


class MeilisearchApiError(Exception):
    """The server refused."""
