# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What drivers do for the follower: tell whether a local end is fenced, and tend its container."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .edge import EdgeSettings
from .paths import Paths
from .stage import store_settings
from .store_lock import Locked
from .stores import DRIVERS
from .stores.base import Probe, StoreError, Tend


def probes(settings: EdgeSettings, paths: Paths) -> dict[str, Probe]:
    """The probes of the stores whose drivers offer one."""
    return {name: _quiet(probe) for name, probe in _offers("probe", settings, paths)}


def tends(settings: EdgeSettings, paths: Paths, say: Callable[[str], None]) -> dict[str, Tend]:
    """What tends the containers of the stores whose drivers offer it; returns at once, and raises nothing."""
    return {name: _Background(name, tend, say) for name, tend in _offers("tend", settings, paths)}


def _offers(what: str, settings: EdgeSettings, paths: Paths) -> Iterator[tuple[str, Any]]:
    """What the static method of that name makes of a store's settings, for each driver that has it."""
    for name in settings.stores:
        if name not in DRIVERS:
            continue
        try:
            given = store_settings(name, paths)
            module, _, driver = DRIVERS[name].partition(":")
            offer = getattr(getattr(importlib.import_module(f".stores.{module}", __package__), driver), what, None)
            if offer is not None:
                yield name, offer(given)
        except (StoreError, ImportError, AttributeError):
            continue


def _quiet(probe: Probe) -> Probe:
    def ask(address: str, port: int) -> bool | None:
        try:
            return probe(address, port)
        except Exception:
            return None

    return ask


class _Background:
    """Runs a driver's tend in a thread of its own, never twice at once, and says trouble when it begins and ends."""

    def __init__(self, name: str, tend: Tend, say: Callable[[str], None]) -> None:
        self._name = name
        self._tend = tend
        self._say = say
        self._trouble = ""
        self._thread: threading.Thread | None = None

    def __call__(self, address: str, port: int) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, args=(address, port), daemon=True)
            self._thread.start()

    def _run(self, address: str, port: int) -> None:
        try:
            self._tend(address, port)
            trouble = ""
        except Locked:
            return  # a stage runs, and knows better
        except Exception as problem:
            trouble = str(problem) or type(problem).__name__
        if trouble != self._trouble:
            self._trouble = trouble
            self._say(f"{self._name}: {trouble or 'its container is as it has to be again'}")
