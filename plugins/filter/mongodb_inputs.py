# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a role's variables cannot make a MongoDB replica set, one sentence each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.tutorops.scale.plugins.plugin_utils.members import refuse_members, refuse_secrets

DOCUMENTATION = r"""
name: mongodb_inputs
short_description: What of a role's variables cannot make a MongoDB replica set
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
  set_name:
    description: Name of the set.
    type: str
    required: true
  admin_password:
    description: The administrator's password; empty when it is not set.
    type: str
    required: true
  keyfile:
    description: Content of the key file; empty when it is not set.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse what cannot be a set
  ansible.builtin.assert:
    that: wrong | length == 0
    fail_msg: "{{ wrong | join(' ') }}"
  vars:
    wrong: >-
      {{ mongodb_hosts | tutorops.scale.mongodb_inputs(ansible_play_hosts, inventory_hostname, mongodb_set_name,
      mongodb_admin_password, mongodb_keyfile) }}
"""

RETURN = r"""
_value:
  description: Sentences, none when nothing is wrong.
  type: list
  elements: str
"""

KEY = re.compile(r"[A-Za-z0-9+/=\s]+")
NAME = re.compile(r"[A-Za-z0-9_-]+")

_NEED = "a set needs at least three to go on without one of them"


def mongodb_inputs(
    hosts: Sequence[str],
    reached: Sequence[str],
    host: str,
    set_name: Any,
    admin_password: Any,
    keyfile: Any,
) -> list[str]:
    """Everything that is wrong."""
    secrets = {"mongodb_admin_password": admin_password, "mongodb_keyfile": keyfile}
    return [
        *refuse_members("mongodb", "a set", _NEED, hosts, reached),
        *refuse_secrets(host, secrets),
        *_key(str(keyfile)),
        *_set(str(set_name)),
    ]


def _key(key: str) -> Iterator[str]:
    if len(key) >= 8 and (not KEY.fullmatch(key) or not 6 <= len("".join(key.split())) <= 1024):
        yield "mongodb_keyfile is not 6 to 1024 characters of base64; make one with `openssl rand -base64 756`."


def _set(name: str) -> Iterator[str]:
    if not NAME.fullmatch(name):
        yield (
            f"mongodb_set_name is '{name}', but a set's name stands in addresses: use letters, digits, dashes and "
            "underscores."
        )


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Any]:
        """Name each filter."""
        return {"mongodb_inputs": mongodb_inputs}
