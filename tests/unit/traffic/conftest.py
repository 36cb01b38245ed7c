"""Makes the lab's traffic client importable; it is no part of the collection."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "molecule" / "shared"))

import traffic


@pytest.fixture(autouse=True)
def prefixes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a test have the prefixes 1, 2 and so on, and by that the same requests each time."""
    numbers = itertools.count(1)
    monkeypatch.setattr(traffic.secrets, "token_hex", lambda size: f"{next(numbers):0{2 * size}x}")
