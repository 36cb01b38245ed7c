# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a host from being a member of a MongoDB replica set, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.tutorops.scale.plugins.plugin_utils.members import (
    refuse_address,
    refuse_port,
    refuse_system,
    refuse_versions,
)

DOCUMENTATION = r"""
name: mongodb_obstacles
short_description: What keeps a host from being a member of a MongoDB replica set
version_added: 0.1.0
author: Tutor Ops contributors (@tutorops)
description:
  - Takes what M(tutorops.scale.mongodb_member_info) found, and gives a sentence for everything that stands in the way.
options:
  _input:
    description: What was found, with the name of the host as C(host).
    type: dict
    required: true
  systems:
    description: Supported operating systems.
    type: list
    elements: str
    required: true
  series:
    description: Supported series of MongoDB, such as V(7.0).
    type: list
    elements: str
    required: true
  version:
    description: The version that is wanted, or its beginning; empty for any that is supported.
    type: str
    default: ""
  memory:
    description: Bytes of memory that a member needs.
    type: int
    required: true
  free:
    description: Bytes of free space that a member without data needs.
    type: int
    required: true
  port:
    description: Port of MongoDB.
    type: int
    required: true
  addresses:
    description: Addresses of all members.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show what stands in the way
  ansible.builtin.debug:
    msg: >-
      {{ found.member | tutorops.scale.mongodb_obstacles(systems=['debian 13'], series=['7.0'], memory=1073741824,
      free=5368709120, port=27017) }}
"""

RETURN = r"""
_value:
  description: Sentences, none when nothing stands in the way.
  type: list
  elements: str
"""


def mongodb_obstacles(
    member: Mapping[str, Any],
    systems: Sequence[str],
    series: Sequence[str],
    memory: int,
    free: int,
    port: int,
    version: str = "",
    addresses: Sequence[str] = (),
) -> list[str]:
    """Everything that stands in the way of a host."""
    return [
        *refuse_system("mongodb", member, systems, memory, free, "cache_size_gb", holds_data=member["configured"]),
        *refuse_address("mongodb", member, addresses),
        *refuse_port("mongodb_port", port, member["host"], member["port_taken_by"]),
        *refuse_versions("mongodb", "MongoDB", member, series, version),
        *_data(member),
    ]


def _data(member: Mapping[str, Any]) -> Iterator[str]:
    host, folder = member["host"], member["data_dir"]
    # Where this role has been, the data are its set's.
    if not member["configured"] and not member["data_dir_empty"]:
        yield (
            f"{folder} on {host} holds files that are not of this role, and nothing is overwritten: use another host, "
            "or save them if they are wanted, and empty the directory."
        )
    if member["state"] == "REMOVED":
        yield (
            f"MongoDB on {host} was taken out of a set and holds what that set had: stop it, empty {folder} if nobody "
            "wants that, and start it."
        )


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Name each filter."""
        return {"mongodb_obstacles": mongodb_obstacles}
