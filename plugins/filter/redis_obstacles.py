# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a host from being a member of a Redis cluster, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.redis_config import normal
from ansible_collections.tutorops.scale.plugins.plugin_utils.members import (
    refuse_address,
    refuse_port,
    refuse_system,
    refuse_versions,
    size,
)

DOCUMENTATION = r"""
name: redis_obstacles
short_description: What keeps a host from being a member of a Redis cluster
version_added: 0.1.0
author: Tutor Ops contributors (@tutorops)
description:
  - Takes what M(tutorops.scale.redis_member_info) found, and gives a sentence for everything that stands in the way.
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
    description: Supported series of Redis, such as V(7.4).
    type: list
    elements: str
    required: true
  version:
    description: The version that is wanted, or its beginning; empty for any that is supported.
    type: str
    default: ""
  offered:
    description: Whether the repository is there already, so that what the host would get counts.
    type: bool
    default: true
  memory:
    description: Bytes of memory that a member needs.
    type: int
    required: true
  free:
    description: Bytes of free space that a member without data needs.
    type: int
    required: true
  port:
    description: Port of Redis.
    type: int
    required: true
  sentinel_port:
    description: Port of the Sentinel.
    type: int
    required: true
  maxmemory:
    description: Memory for data, as redis.conf takes it.
    type: str
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
      {{ found.member | tutorops.scale.redis_obstacles(systems=['debian 13'], series=['8'], memory=1073741824,
      free=2147483648, maxmemory='512mb', port=6379, sentinel_port=26379) }}
"""

RETURN = r"""
_value:
  description: Sentences, none when nothing stands in the way.
  type: list
  elements: str
"""


def redis_obstacles(
    member: Mapping[str, Any],
    systems: Sequence[str],
    series: Sequence[str],
    memory: int,
    free: int,
    port: int,
    sentinel_port: int,
    maxmemory: str,
    version: str = "",
    offered: bool = True,
    addresses: Sequence[str] = (),
) -> list[str]:
    """Everything that stands in the way of a host."""
    return [
        *refuse_system("redis", member, systems, memory, free, "maxmemory", holds_data=bool(member["key_count"])),
        *refuse_address("redis", member, addresses),
        *_memory(member, maxmemory),
        *refuse_port("redis_port", port, member["host"], member["port_taken_by"]),
        *refuse_port("redis_sentinel_port", sentinel_port, member["host"], member["sentinel_port_taken_by"]),
        *refuse_versions(
            "redis", "Redis", member if offered else {**member, "version_candidate": None}, series, version
        ),
        *_data(member),
    ]


def _data(member: Mapping[str, Any]) -> Iterator[str]:
    host, folder = member["host"], member["data_dir"]
    if member["data_dir_empty"] or member["configured"]:
        return
    if not member["version_installed"]:
        yield (
            f"{folder} on {host} holds files of an earlier installation, and nothing is overwritten: save them if they "
            "are wanted, and empty the directory."
        )
    elif member["service_active"]:
        yield (
            f"Redis on {host} runs with data that are not of this role ({folder}), and nothing is overwritten: use "
            "another host, or save and remove them."
        )


def _memory(member: Mapping[str, Any], maxmemory: str) -> Iterator[str]:
    wanted = int(normal(str(maxmemory)))
    if wanted <= 0:
        yield f"redis_maxmemory of {member['host']} is {maxmemory}: give a size such as 2gb."
    elif wanted > member["memory_bytes"]:
        yield (
            f"redis_maxmemory of {member['host']} is {maxmemory}, more than its "
            f"{size(member['memory_bytes'])}: lower it, or give it more memory."
        )


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Name each filter."""
        return {"redis_obstacles": redis_obstacles}
