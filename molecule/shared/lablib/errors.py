"""The one kind of failure that the lab explains in a sentence."""

from __future__ import annotations


class LabError(Exception):
    """Says what went wrong, where, and what to do about it."""
