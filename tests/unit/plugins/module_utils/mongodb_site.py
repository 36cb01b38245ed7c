# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a MongoDB driver, with the files that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_settings import MongodbSettings
from mongodb_world import LOCAL_HOST, MEMBERS


def given_settings(folder: Path, **limits: float) -> dict[str, Any]:
    """What /etc/tutorops/stores/mongodb.json would hold."""
    (folder / "tutor" / "data" / "mongodb").mkdir(parents=True, exist_ok=True)
    (folder / "state").mkdir(exist_ok=True)
    for name, content in (("source.crt", "CERTIFICATE\n\n"), ("source.key", "KEY\n"), ("ca.pem", "AUTHORITY\n")):
        (folder / name).write_text(content)
    address, _, port = LOCAL_HOST.partition(":")
    return {
        "edge_address": address,
        "compose_project": "tutor_local",
        "tutor_root": str(folder / "tutor"),
        "source": {"service": "mongodb", "port": 27017},
        "source_port": int(port),
        "set_name": "tutorops",
        "keyfile": "a2V5\nb2Yg",
        "cluster": {
            "members": [
                {"name": f"data{number}", "address": host.partition(":")[0]} for number, host in enumerate(MEMBERS, 1)
            ],
            "admin_user": "tutorops_admin",
            "admin_password": "admin-secret",
        },
        "application": {
            "user": "openedx",
            "password": "app-secret",
            "databases": ["openedx", "cs_comments_service"],
        },
        "tls": {
            "ca": str(folder / "ca.pem"),
            "source_certificate": str(folder / "source.crt"),
            "source_key": str(folder / "source.key"),
        },
        "state_directory": str(folder / "state"),
        "limits": limits,
    }


def settings(folder: Path, **limits: float) -> MongodbSettings:
    """The same, read."""
    return MongodbSettings.from_dict(given_settings(folder, **limits))
