"""One clock for all records: reads like the wall clock, and never jumps while a process lives."""

from __future__ import annotations

import time

_OFFSET = time.time() - time.monotonic()


def now() -> float:
    """Seconds since the epoch."""
    return _OFFSET + time.monotonic()
