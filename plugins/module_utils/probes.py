# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the follower asks a local end whether it is fenced, where its driver offers a way."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from .edge import EdgeSettings
from .paths import Paths
from .stage import store_settings
from .stores import DRIVERS
from .stores.base import StoreError

#: Takes an address and a port; None when nobody can tell.
Probe = Callable[[str, int], "bool | None"]


def probes(settings: EdgeSettings, paths: Paths) -> dict[str, Probe]:
    """The probes of the stores; a driver that has a static method ``probe(settings)`` offers one."""
    found = {}
    for name in settings.stores:
        probe = _probe(name, paths)
        if probe is not None:
            found[name] = _quiet(probe)
    return found


def _probe(name: str, paths: Paths) -> Probe | None:
    if name not in DRIVERS:
        return None
    try:
        given = store_settings(name, paths)
        module, _, driver = DRIVERS[name].partition(":")
        offer = getattr(getattr(importlib.import_module(f".stores.{module}", __package__), driver), "probe", None)
        probe: Probe | None = offer(given) if offer is not None else None
        return probe
    except (StoreError, ImportError, AttributeError):
        return None


def _quiet(probe: Probe) -> Probe:
    def ask(address: str, port: int) -> bool | None:
        try:
            return probe(address, port)
        except Exception:
            return None

    return ask
