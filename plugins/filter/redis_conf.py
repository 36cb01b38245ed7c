# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

DOCUMENTATION = r"""
name: redis_conf
short_description: What Tutor's Redis reads when it starts, so that it takes part in a move
version_added: 0.1.0
description:
  - Its accounts, with passwords as SHA-256 digests; and what has it start closed, following nobody, until somebody who
    knows which end serves opens it. A restart at any moment never makes a second primary.
author:
  - Tutor Ops contributors (@tutorops)
positional: _input
options:
  _input:
    description: The settings of the driver, as they are written to C(/etc/tutorops/stores/redis.json).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ redis_store_settings | tutorops.scale.redis_conf }}"
"""

RETURN = r"""
_value:
  description: Lines for redis.conf.
  type: str
"""

#: The lines that keep a container closed when it starts, and from ever being elected; and enough of a backlog for a
#: cluster that is cut off for a while.
BOOTS_CLOSED = ("replicaof 127.0.0.1 1", "replica-priority 0", "repl-backlog-size 67108864")


def redis_conf(settings: Mapping[str, Any]) -> str:
    """The lines, one account each and then how it starts."""
    application, cluster = settings["application"], settings["cluster"]
    lines = [
        _user(application["user"], application["password"], "~*", "&*", "+@all", "-@admin"),
        _user(cluster["admin_user"], cluster["admin_password"], "~*", "&*", "+@all"),
        _user(cluster["replication_user"], cluster["replication_password"], "+psync", "+replconf", "+ping"),
    ]
    return "".join(f"{line}\n" for line in (*lines, *BOOTS_CLOSED))


def _user(name: str, password: str, *rules: str) -> str:
    digest = hashlib.sha256(password.encode()).hexdigest()
    return " ".join(("user", name, "on", "resetpass", "resetkeys", "resetchannels", "-@all", f"#{digest}", *rules))


class FilterModule:
    """Filters of the collection about Redis."""

    def filters(self) -> dict[str, Any]:
        """Name each filter."""
        return {"redis_conf": redis_conf}
