# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a host from being a member of a Redis cluster, one sentence each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.redis_config import normal

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
        *_system(member, systems, memory, free),
        *_address(member, addresses),
        *_memory(member, maxmemory),
        *_port("redis_port", port, member["host"], member["port_taken_by"]),
        *_port("redis_sentinel_port", sentinel_port, member["host"], member["sentinel_port_taken_by"]),
        *_versions(member if offered else {**member, "version_candidate": None}, series, version),
        *_data(member),
    ]


def _system(member: Mapping[str, Any], systems: Sequence[str], memory: int, free: int) -> Iterator[str]:
    host = member["host"]
    found = re.sub(r"^(debian \d+).*", r"\1", member["distribution"])
    if found not in systems:
        yield f"{host} runs {found}, but a member needs one of {', '.join(systems)}: use such a host."
    if not member["address_present"]:
        yield (
            f"redis_address of {host} is {member['address']}, which no interface there has: set it to an address of "
            "the host that the other members and the clients reach."
        )
    if member["memory_bytes"] < int(memory):
        yield (
            f"{host} has {_size(member['memory_bytes'])} of memory, and a member needs {_size(memory)}: give it more, "
            "or lower redis_minimum_memory together with redis_maxmemory."
        )
    if not member["key_count"] and member["data_dir_bytes_free"] < int(free):
        yield (
            f"{host} has {_size(member['data_dir_bytes_free'])} free at {member['data_dir']}, and a member needs "
            f"{_size(free)}: make room, or lower redis_minimum_free_space."
        )


def _address(member: Mapping[str, Any], addresses: Sequence[str]) -> Iterator[str]:
    if list(addresses).count(member["address"]) > 1:
        yield (
            f"members share the address {member['address']} of {member['host']}: give redis_address per host, an "
            "address that the others reach."
        )


def _port(variable: str, port: int, host: str, process: str | None) -> Iterator[str]:
    if process:
        yield f"port {port} of {host} is taken by {process}: stop it, or choose another {variable}."


def _versions(member: Mapping[str, Any], series: Sequence[str], wanted: str) -> Iterator[str]:
    host = member["host"]
    for what, found in (("has", member["version_installed"]), ("would get", member["version_candidate"])):
        if found is None or (what == "would get" and member["version_installed"]):
            continue
        if not any(_is_of(found, one) for one in series):
            yield (
                f"{host} {what} Redis {found}, but this role supports the series {', '.join(series)}: choose "
                "another redis_repository, or remove the package."
            )
        elif wanted and not _is_of(found, wanted):
            yield f"{host} {what} Redis {found}, but redis_version is {wanted}: choose a redis_repository that has it."


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
            f"{_size(member['memory_bytes'])}: lower it, or give it more memory."
        )


def _is_of(version: str, series: str) -> bool:
    return re.match(rf"(\d+:)?{re.escape(series)}([.\-+~]|$)", version) is not None


def _size(count: Any) -> str:
    return f"{int(count) / 2**30:.1f} GiB"


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Name each filter."""
        return {"redis_obstacles": redis_obstacles}
