# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an edge has for each store: a pointer that is only begun, settings that are secret."""

from __future__ import annotations

import base64
import json

from ansible_collections.tutorops.scale.plugins.filter.edge_files import edge_files


def test_pointers_are_only_begun_and_settings_are_secret() -> None:
    found = edge_files(["mysql", "redis"], {"mysql": {"password": "p", "a": 1}}, "/p", "/s")
    assert found["pointers"] == [
        {"path": "/p/mysql", "content": "mysql local\n", "replace": False},
        {"path": "/p/redis", "content": "redis local\n", "replace": False},
    ]
    (settings,) = found["settings"]
    assert (settings["path"], settings["mode"]) == ("/s/mysql.json", "0600")
    content = base64.b64decode(settings["secret_content"]).decode()
    assert json.loads(content) == {"password": "p", "a": 1}
    assert "content" not in settings and content.endswith("}\n")
