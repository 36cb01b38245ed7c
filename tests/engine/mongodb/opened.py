# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the tests open the driver, and how processes of the platform connect."""

from __future__ import annotations

from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_settings import MongodbSettings
from ansible_collections.tutorops.scale.plugins.module_utils.stores.mongodb import MongodbStore
from platform_double import Door
from servers import SET, Site


def open_store(site: Site, door: Door, **limits: float) -> MongodbStore:
    """The driver over a site."""
    settings = MongodbSettings.from_dict(site.settings(**limits))
    return MongodbStore(settings, door, platform=site.platform, pause=door.pause)


def as_found(site: Site) -> dict[str, Any]:
    """How a process connects that was started before anything changed."""
    return {"host": site.source_address}


def attached(site: Site) -> dict[str, Any]:
    """How a process connects after the roll: one seed, the set's name, an account, our options."""
    return {
        "host": site.source_address,
        "replicaSet": SET,
        "username": "openedx",
        "password": "app",
        "authSource": "admin",
        "tls": True,
        "tlsCAFile": str(site.folder / "ca.pem"),
        "connectTimeoutMS": 2000,
        "heartbeatFrequencyMS": 2000,
    }


def member(site: Site, name: str) -> dict[str, Any]:
    """How one member alone is read."""
    options = {**attached(site), "host": site.address(name), "directConnection": True}
    del options["replicaSet"]
    return options
