# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a role's variables cannot make a MySQL group, one sentence each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.tutorops.scale.plugins.plugin_utils.members import refuse_members, refuse_secrets

DOCUMENTATION = r"""
name: mysql_inputs
short_description: What of a role's variables cannot make a MySQL group
version_added: 0.1.0
author: Tutor Ops contributors (@tutorops)
description:
  - Gives a sentence for everything that is wrong, and shows no password in it.
options:
  _input:
    description: Names of the hosts that are to be members.
    type: list
    elements: str
    required: true
  reached:
    description: Names of the hosts that are reached in this play.
    type: list
    elements: str
    required: true
  host:
    description: The host whose variables these are.
    type: str
    required: true
  group_name:
    description: Name of the group, a UUID; empty when it is not set.
    type: str
    required: true
  admin_password:
    description: The administrator's password; empty when it is not set.
    type: str
    required: true
  replication_password:
    description: Password of the members among themselves; empty when it is not set.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse what cannot be a group
  ansible.builtin.assert:
    that: wrong | length == 0
    fail_msg: "{{ wrong | join(' ') }}"
  vars:
    wrong: >-
      {{ mysql_hosts | tutorops.scale.mysql_inputs(ansible_play_hosts, inventory_hostname, mysql_group_name,
      mysql_admin_password, mysql_replication_password) }}
"""

RETURN = r"""
_value:
  description: Sentences, none when nothing is wrong.
  type: list
  elements: str
"""

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_NEED = "a group needs at least three to go on without one of them"


def mysql_inputs(
    hosts: Sequence[str],
    reached: Sequence[str],
    host: str,
    group_name: Any,
    admin_password: Any,
    replication_password: Any,
) -> list[str]:
    """Everything that is wrong."""
    passwords = {"mysql_admin_password": admin_password, "mysql_replication_password": replication_password}
    return [
        *refuse_members("mysql", "a group", _NEED, hosts, reached),
        *refuse_secrets(host, passwords),
        *_replication(str(replication_password)),
        *_group(str(group_name)),
    ]


def _replication(password: str) -> Iterator[str]:
    if len(password) > 32:
        yield (
            "mysql_replication_password has more than the 32 characters that a replication channel can keep: make it "
            "shorter."
        )


def _group(name: str) -> Iterator[str]:
    if not UUID.fullmatch(name):
        yield (
            f"mysql_group_name is {name or 'not set'}, but a group's name is a UUID: make one with `uuidgen`, and "
            "never change it."
        )


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Name each filter."""
        return {"mysql_inputs": mysql_inputs}
