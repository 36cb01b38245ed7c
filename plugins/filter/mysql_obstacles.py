# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a host from being a member of a MySQL group, one sentence each."""

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
name: mysql_obstacles
short_description: What keeps a host from being a member of a MySQL group
version_added: 0.1.0
author: Tutor Ops contributors (@tutorops)
description:
  - Takes what M(tutorops.scale.mysql_member_info) found, and gives a sentence for everything that stands in the way.
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
    description: Supported series of MySQL, such as V(8.4).
    type: list
    elements: str
    required: true
  addresses:
    description: Addresses of all members.
    type: list
    elements: str
    default: []
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
    description: Port of MySQL.
    type: int
    required: true
  health_port:
    description: Port of the health endpoint.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Show what stands in the way
  ansible.builtin.debug:
    msg: >-
      {{ found.member | tutorops.scale.mysql_obstacles(systems=['debian 13'], series=['8.4'], memory=1073741824,
      free=5368709120, port=3306, health_port=9200) }}
"""

RETURN = r"""
_value:
  description: Sentences, none when nothing stands in the way.
  type: list
  elements: str
"""


def mysql_obstacles(
    member: Mapping[str, Any],
    systems: Sequence[str],
    series: Sequence[str],
    memory: int,
    free: int,
    port: int,
    health_port: int,
    version: str = "",
    addresses: Sequence[str] = (),
) -> list[str]:
    """Everything that stands in the way of a host."""
    return [
        *refuse_system(
            "mysql", member, systems, memory, free, "buffer_pool_size", holds_data=bool(member["user_schemas"])
        ),
        *refuse_address("mysql", member, addresses),
        *refuse_port("mysql_port", port, member["host"], member["port_taken_by"]),
        *refuse_port("mysql_health_port", health_port, member["host"], member["health_port_taken_by"]),
        *refuse_versions("mysql", "MySQL", member, series, version),
        *_data(member),
    ]


def _data(member: Mapping[str, Any]) -> Iterator[str]:
    host, folder = member["host"], member["data_dir"]
    if member["data_dir_empty"]:
        return
    if not member["version_installed"]:
        yield (
            f"{folder} on {host} holds files of an earlier installation, and nothing is overwritten: save them if they "
            "are wanted, and empty the directory."
        )
    elif member["service_active"] and member["user_schemas"] and member["login"] in (None, "root"):
        # Once this role has been here, its administrator is let in.
        yield (
            f"MySQL on {host} holds databases that are not of this role ({', '.join(member['user_schemas'])}), and "
            "nothing is overwritten: use another host, or save and remove them."
        )


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Name each filter."""
        return {"mysql_obstacles": mysql_obstacles}
