# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: tutor_record
short_description: What a change of Tutor's settings finds, added to what earlier ones found
version_added: 0.1.0
description:
  - Gives what M(tutorops.scale.tutor_config) needs to undo the change, C(set) and C(unset).
  - A setting that is in the record already stays as it is there.
positional: _input, stores, settings, found
options:
  _input:
    description: The record so far, empty at the first time.
    type: dict
    required: true
  stores:
    description: The stores that the change is made for.
    type: list
    elements: str
    required: true
  settings:
    description: The settings that change.
    type: dict
    required: true
  found:
    description: What M(tutorops.scale.tutor_config_info) returned for them.
    type: dict
    required: true
"""

EXAMPLES = r"""
record: "{{ {} | tutorops.scale.tutor_record(['mysql'], {'MYSQL_HOST': '10.0.0.10'}, found) }}"
"""

RETURN = r"""
_value:
  description:
    - A dictionary with C(stores), C(set) (settings and their values) and C(unset) (names of those that had no value).
  type: dict
"""


def tutor_record(
    record: Mapping[str, Any], stores: Iterable[str], settings: Iterable[str], found: Mapping[str, Any]
) -> dict[str, Any]:
    """The record with what is new in it."""
    values, names = dict(record.get("set", {})), set(record.get("unset", []))
    for name in settings:
        if name in values or name in names:
            continue
        if name in found["user_keys"]:
            values[name] = found["settings"][name]
        else:
            names.add(name)
    return {
        "stores": sorted({*record.get("stores", []), *stores}),
        "set": values,
        "unset": sorted(names),
    }


class FilterModule:
    """Filters of the collection about Tutor's settings."""

    def filters(self) -> dict[str, Any]:
        return {"tutor_record": tutor_record}
