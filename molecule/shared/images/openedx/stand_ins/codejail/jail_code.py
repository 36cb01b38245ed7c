"""The function that Tutor's settings call."""

from __future__ import annotations


def configure(command: str, bin_path: str, user: str | None = None) -> None:
    """There is no code jail."""
