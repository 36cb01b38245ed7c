# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The members of a MySQL group out of what its hosts found out about themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: mysql_members
short_description: The members of a MySQL group by name, address and port
version_added: 0.1.0
author: Tutor Ops contributors (@tutorops)
description:
  - Takes the names of hosts, and gives each with the address and port that
    M(tutorops.scale.mysql_member_info) was asked
    about there.
options:
  _input:
    description: Names of hosts.
    type: list
    elements: str
    required: true
  hostvars:
    description: The variables of all hosts.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the members
  ansible.builtin.debug:
    msg: "{{ mysql_hosts | tutorops.scale.mysql_members(hostvars) }}"
"""

RETURN = r"""
_value:
  description: Members as M(tutorops.scale.mysql_group) takes them.
  type: list
  elements: dict
"""


def mysql_members(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Name, address and port of each host that has told them."""
    members = []
    for name in hosts:
        told = hostvars[name].get("mysql_member") if name in hostvars else None
        if told:
            members.append({"name": name, "address": told["address"], "port": int(told["port"])})
    return members


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Name each filter."""
        return {"mysql_members": mysql_members}
