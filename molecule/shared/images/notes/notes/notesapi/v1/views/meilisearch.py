"""The function that Tutor's init job calls from 19 on."""

from __future__ import annotations


def reindex() -> None:
    """Notes are not indexed here."""
