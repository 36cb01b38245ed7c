"""The one kind of failure that the traffic client explains in a sentence."""

from __future__ import annotations


class TrafficError(Exception):
    """Says what went wrong, where, and what to do about it."""
