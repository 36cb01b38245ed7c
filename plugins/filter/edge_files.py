# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.plugins.filter.core import to_nice_json

DOCUMENTATION = r"""
name: edge_files
short_description: The files that an edge has for each store
version_added: 0.1.0
description:
  - Gives entries for M(tutorops.scale.host_files), for the pointers and for the settings of the stores' drivers.
  - A pointer is only begun, with the local end; settings hold secrets.
options:
  _input:
    description: Names of the stores that the edge serves.
    type: list
    elements: str
    required: true
  settings:
    description: Settings of the drivers, by the name of the store.
    type: dict
    required: true
  pointers_in:
    description: Folder of the pointers.
    type: str
    required: true
  settings_in:
    description: Folder of the settings.
    type: str
    required: true
"""

EXAMPLES = r"""
files: "{{ ['mysql'] | tutorops.scale.edge_files(settings, pointers_in='/srv/pointers', settings_in='/srv/stores') }}"
"""

RETURN = r"""
_value:
  description: Lists C(pointers) and C(settings) of entries for O(tutorops.scale.host_files#module:files).
  type: dict
"""


def edge_files(
    stores: Iterable[str], settings: Mapping[str, Any], pointers_in: str, settings_in: str
) -> dict[str, list[dict[str, Any]]]:
    """The pointers and the settings of all stores."""
    return {
        "pointers": [
            {"path": f"{pointers_in}/{name}", "content": f"{name} local\n", "replace": False} for name in stores
        ],
        "settings": [
            {"path": f"{settings_in}/{name}.json", "secret_content": _coded(one), "mode": "0600"}
            for name, one in settings.items()
        ],
    }


def _coded(settings: Any) -> str:
    # Ansible's own knows vaulted values.
    return base64.b64encode(f"{to_nice_json(settings, sort_keys=True)}\n".encode()).decode()


class FilterModule:
    """Filters of the collection about the edge."""

    def filters(self) -> dict[str, Any]:
        return {"edge_files": edge_files}
