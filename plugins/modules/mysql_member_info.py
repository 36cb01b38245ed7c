# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mysql_member_info
short_description: Read a host that is, or shall become, a member of a MySQL group
description:
  - Gives what decides whether a host can be a member of a group, and what it holds. Changes nothing.
  - Works on a bare host too; what cannot be known before MySQL runs is null.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  address:
    description: Address by which the other members and the clients shall reach the host.
    type: str
    required: true
  port:
    description: Port of MySQL.
    type: int
    default: 3306
  health_port:
    description: Port of the health endpoint.
    type: int
    default: 9200
  package:
    description: Name of the server's package.
    type: str
    default: mysql-community-server
  packages:
    description: Other packages that the member needs.
    type: list
    elements: str
    default: []
  service:
    description: Name of the server's systemd unit.
    type: str
    default: mysql
  health_service:
    description: Name of the health endpoint's systemd unit.
    type: str
    default: tutorops-mysql-health
  health_user:
    description: The system's user that the health endpoint runs as.
    type: str
    default: tutorops_health
  data_dir:
    description: Directory of the data.
    type: path
    default: /var/lib/mysql
  socket:
    description: Socket of the server.
    type: path
    default: /run/mysqld/mysqld.sock
  users:
    description: Users to try, in this order, that may log in by socket as the system's root.
    type: list
    elements: str
    default: [root]
  password:
    description: Password of the first of O(users), to try by network when nobody is let in by socket.
    type: str
  ca:
    description: Certificate authority of the server's certificate, for the login by network.
    type: path
  watched:
    description: Files after whose change the server wants a restart.
    type: list
    elements: path
    default: []
  health_watched:
    description: Files after whose change the health endpoint wants a restart.
    type: list
    elements: path
    default: []
extends_documentation_fragment:
  - tutorops.scale.attributes.reads
requirements:
  - PyMySQL on the host (the package python3-pymysql), for what only the server can tell
seealso:
  - module: tutorops.scale.mysql_group
"""

EXAMPLES = r"""
- name: Look at the host
  tutorops.scale.mysql_member_info:
    address: 10.0.0.11
  register: found

- name: Refuse a host that holds something
  ansible.builtin.assert:
    that: found.member.user_schemas | length == 0
"""

RETURN = r"""
member:
  description: What was found.
  type: dict
  returned: success
  contains:
    address:
      description: The address that was asked about.
      type: str
    address_present:
      description: Whether an interface of the host has this address.
      type: bool
    distribution:
      description: Name and version of the operating system.
      type: str
      sample: debian 13
    version_candidate:
      description: Version of the package that would be installed now, or null when no repository has it.
      type: str
    version_installed:
      description: Version of the package that is installed, or null.
      type: str
    packages_missing:
      description: Which of O(packages) are not installed.
      type: list
      elements: str
    service_active:
      description: Whether the server runs.
      type: bool
    service_settled:
      description: Whether it runs, starts at boot, and is defined as systemd read it.
      type: bool
    health_settled:
      description: The same of the health endpoint, and that none of its files changed since it started.
      type: bool
    health_user_exists:
      description: Whether the system has its user.
      type: bool
    restart_needed:
      description: Whether one of the watched files changed since the server started.
      type: bool
    data_dir:
      description: Directory of the data.
      type: str
    data_dir_bytes_free:
      description: Free bytes on its file system.
      type: int
    data_dir_bytes_used:
      description: Bytes that it takes up.
      type: int
    data_dir_empty:
      description: Whether it is absent or holds nothing.
      type: bool
    memory_bytes:
      description: Memory of the host.
      type: int
    port_taken_by:
      description: Process that listens on the port and is not MySQL, or null.
      type: str
    health_port_taken_by:
      description: Process that listens on the health port and is not the health endpoint, or null.
      type: str
    user_schemas:
      description: Databases other than MySQL's own.
      type: list
      elements: str
    login:
      description: Which of the users was let in, or null.
      type: str
    group_state:
      description: State of the member in its group, C(OFFLINE) without one, or null.
      type: str
      sample: ONLINE
    group_in_service:
      description: Whether its group has a majority, or null.
      type: bool
    gtid_executed_empty:
      description: Whether the server has no history, or null.
      type: bool
    server_version:
      description: Version of the running server, or null.
      type: str
"""
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.member_info import answer
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_host import Host, Question


def main():
    module = AnsibleModule(
        argument_spec=dict(
            address={"type": "str", "required": True},
            port={"type": "int", "default": 3306},
            health_port={"type": "int", "default": 9200},
            package={"type": "str", "default": "mysql-community-server"},
            packages={"type": "list", "elements": "str", "default": []},
            service={"type": "str", "default": "mysql"},
            health_service={"type": "str", "default": "tutorops-mysql-health"},
            health_user={"type": "str", "default": "tutorops_health"},
            data_dir={"type": "path", "default": "/var/lib/mysql"},
            socket={"type": "path", "default": "/run/mysqld/mysqld.sock"},
            users={"type": "list", "elements": "str", "default": ["root"]},
            password={"type": "str", "no_log": True},
            ca={"type": "path"},
            watched={"type": "list", "elements": "path", "default": []},
            health_watched={"type": "list", "elements": "path", "default": []},
        ),
        supports_check_mode=True,
    )
    answer(module, Question, Host)


if __name__ == "__main__":
    main()
