# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mysql_member
short_description: Give a server the accounts of a MySQL group's member
description:
  - Makes the accounts that every member of a group has, and tells the server how to log in to the others.
  - Runs on the member itself as root, by socket, and leaves no trace in the server's history. A member of a group in
    service is left alone, because it has the accounts of its group.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  socket:
    description: Socket of the server.
    type: path
    default: /run/mysqld/mysqld.sock
  users:
    description: Users to try, in this order, that may log in by socket as the system's root.
    type: list
    elements: str
    default: [root]
extends_documentation_fragment:
  - tutorops.scale.mysql_accounts
  - tutorops.scale.attributes
attributes:
  diff_mode:
    description: Accounts are not shown.
    support: none
seealso:
  - module: tutorops.scale.mysql_group
"""

EXAMPLES = r"""
- name: Make the accounts
  tutorops.scale.mysql_member:
    admin_user: tutorops_admin
    admin_password: "{{ mysql_admin_password }}"
    replication_user: tutorops_repl
    replication_password: "{{ mysql_replication_password }}"
"""

RETURN = r"""#"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import Connection
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_group import Accounts, Group, Member
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError

#: A server that is trying to join a group since it booted takes a while to stop that.
PATIENCE = 180.0


def log_in(socket, users):
    """A connection of the first user who is let in."""
    for user in users[:-1]:
        try:
            return Connection(unix_socket=socket, user=user, timeout=PATIENCE)
        except StoreError:
            continue
    return Connection(unix_socket=socket, user=users[-1], timeout=PATIENCE)


def prepare(group, member, check_mode):
    """Make what is missing; says whether something was."""
    if check_mode:
        return not (group.look()[0].in_service or group.is_prepared(member))
    return group.prepare(member)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            socket={"type": "path", "default": "/run/mysqld/mysqld.sock"},
            users={"type": "list", "elements": "str", "default": ["root"]},
            admin_user={"type": "str", "required": True},
            admin_password={"type": "str", "required": True, "no_log": True},
            admin_hosts={"type": "list", "elements": "str", "default": ["%"]},
            replication_user={"type": "str", "required": True},
            replication_password={"type": "str", "required": True, "no_log": True},
            health_user={"type": "str", "default": "tutorops_health"},
        ),
        supports_check_mode=True,
    )
    options = dict(module.params)
    socket, users = options.pop("socket"), options.pop("users")
    accounts = Accounts(**{**options, "admin_hosts": tuple(options["admin_hosts"])})
    try:
        member = Member("this member", socket)
        group = Group([member], "", accounts, lambda _: log_in(socket, users))
        changed = prepare(group, member, module.check_mode)
    except StoreError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
