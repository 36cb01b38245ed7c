# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a store, which keeps two from changing it at once."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .stores.base import StoreError


class Locked(StoreError):
    """Somebody else changes the store now."""


@contextlib.contextmanager
def locked(path: Path, what: str, patience: float, wait: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Take a store's lock, which ends with its process."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        ends = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= ends:
                    file.seek(0)
                    holder = file.read().strip() or "another process"
                    raise Locked(
                        f"{holder} runs on the app server, so '{what}' cannot: wait for its end, then run it again"
                    ) from None
                wait(0.2)
        file.truncate(0)
        file.write(f"'{what}' (pid {os.getpid()})")
        file.flush()
        yield
