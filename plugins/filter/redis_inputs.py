# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a role's variables cannot make a Redis cluster, one sentence each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.tutorops.scale.plugins.plugin_utils.members import refuse_members, refuse_secrets

DOCUMENTATION = r"""
name: redis_inputs
short_description: What of a role's variables cannot make a Redis cluster
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
  users:
    description: Names of all users of Redis.
    type: list
    elements: str
    required: true
  reserved:
    description: Names that none of them may have.
    type: list
    elements: str
    required: true
  admin_password:
    description: The administrator's password; empty when it is not set.
    type: str
    required: true
  replication_password:
    description: Password of the members among themselves; empty when it is not set.
    type: str
    required: true
  sentinel_password:
    description: Password of the Sentinels; empty when it is not set.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse what cannot be a cluster
  ansible.builtin.assert:
    that: wrong | length == 0
    fail_msg: "{{ wrong | join(' ') }}"
  vars:
    wrong: >-
      {{ redis_hosts | tutorops.scale.redis_inputs(ansible_play_hosts, inventory_hostname, ['tutorops'],
      ['default'], redis_admin_password, redis_replication_password, redis_sentinel_password) }}
"""

RETURN = r"""
_value:
  description: Sentences, none when nothing is wrong.
  type: list
  elements: str
"""

NAME = re.compile(r"[A-Za-z0-9_.-]+")
UNQUOTED = re.compile(r"[^\s\"'#\\]*")

_NEED = "Sentinels need at least three to agree without one of them"


def redis_inputs(
    hosts: Sequence[str],
    reached: Sequence[str],
    host: str,
    users: Sequence[str],
    reserved: Sequence[str],
    admin_password: Any,
    replication_password: Any,
    sentinel_password: Any,
) -> list[str]:
    """Everything that is wrong."""
    passwords = {
        "redis_admin_password": admin_password,
        "redis_replication_password": replication_password,
        "redis_sentinel_password": sentinel_password,
    }
    return [
        *refuse_members("redis", "a cluster", _NEED, hosts, reached),
        *refuse_secrets(host, passwords),
        *_sentinel(str(sentinel_password)),
        *_users(users, reserved),
    ]


def _sentinel(password: str) -> Iterator[str]:
    if not UNQUOTED.fullmatch(password):
        yield (
            "redis_sentinel_password has a blank, a quote, a backslash or a #, and a Sentinel writes it into its own "
            "file without quotes, which it then cannot read: choose another one."
        )


def _users(names: Sequence[str], reserved: Sequence[str]) -> Iterator[str]:
    for name in dict.fromkeys(names):
        if not NAME.fullmatch(name) or name in reserved:
            yield (
                f"'{name}' cannot be the name of a user of Redis here: use letters, digits, dots, dashes, and another "
                f"name than {' and '.join(reserved)}."
            )
    if len(set(names)) < len(names):
        yield (
            f"users of Redis share a name ({', '.join(names)}): give each its own, because each may do something else."
        )


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Name each filter."""
        return {"redis_inputs": redis_inputs}
