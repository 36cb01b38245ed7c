# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: redis_member_info
short_description: Read a host that is, or shall become, a member of a Redis cluster
description:
  - Gives what decides whether a host can be a member of a cluster, and what it holds. Changes nothing.
  - Works on a bare host too; what cannot be known before Redis runs is null.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  address:
    description: Address by which the other members and the clients shall reach the host.
    type: str
    required: true
  port:
    description: Port of Redis.
    type: int
    default: 6379
  sentinel_port:
    description: Port of the Sentinel.
    type: int
    default: 26379
  package:
    description: Name of the server's package.
    type: str
    default: redis-server
  packages:
    description: Other packages that the member needs.
    type: list
    elements: str
    default: []
  version:
    description: The version that is wanted, or its beginning; empty for any.
    type: str
    default: ""
  service:
    description: Name of the server's systemd unit.
    type: str
    default: redis-server
  sentinel_service:
    description: Name of the Sentinel's systemd unit.
    type: str
    default: redis-sentinel
  data_dir:
    description: Directory of the data.
    type: path
    default: /var/lib/redis
  config_file:
    description: The server's configuration file.
    type: path
    default: /etc/redis/redis.conf
  admin_user:
    description: The administrator, for what only the server can tell.
    type: str
  admin_password:
    description: Password of O(admin_user).
    type: str
  ca:
    description: Certificate authority of the server's certificate.
    type: path
  watched:
    description: Files after whose change the server wants a restart.
    type: list
    elements: path
    default: []
  sentinel_watched:
    description: Files after whose change the Sentinel wants a restart.
    type: list
    elements: path
    default: []
extends_documentation_fragment:
  - tutorops.scale.attributes.reads
requirements:
  - redis-py on the host (the package python3-redis), for what only the server can tell
seealso:
  - module: tutorops.scale.redis_replication
"""

EXAMPLES = r"""
- name: Look at the host
  tutorops.scale.redis_member_info:
    address: 10.0.0.11
  register: found

- name: Refuse a host that holds something
  ansible.builtin.assert:
    that: found.member.key_count in (none, 0)
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
      description: Newest version of the package that repositories have and that is wanted, or null.
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
    sentinel_active:
      description: Whether the Sentinel runs.
      type: bool
    sentinel_settled:
      description: Whether it runs, starts at boot, and is defined as systemd read it.
      type: bool
    restart_needed:
      description: Whether one of the watched files changed since the server started.
      type: bool
    sentinel_restart_needed:
      description: Whether one of the Sentinel's watched files changed since it started.
      type: bool
    configured:
      description: Whether the configuration file is the role's.
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
      description: Process that listens on the port and is not Redis, or null.
      type: str
    sentinel_port_taken_by:
      description: Process that listens on the Sentinel's port and is not one, or null.
      type: str
    login:
      description: Whether the administrator was let in.
      type: bool
    key_count:
      description: How many keys it holds, or null.
      type: int
    role:
      description: C(master) or C(slave), or null.
      type: str
    server_version:
      description: Version of the running server, or null.
      type: str
"""
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.member_info import answer
from ansible_collections.tutorops.scale.plugins.module_utils.redis_host import Host, Question


def main():
    module = AnsibleModule(
        argument_spec=dict(
            address={"type": "str", "required": True},
            port={"type": "int", "default": 6379},
            sentinel_port={"type": "int", "default": 26379},
            package={"type": "str", "default": "redis-server"},
            packages={"type": "list", "elements": "str", "default": []},
            version={"type": "str", "default": ""},
            service={"type": "str", "default": "redis-server"},
            sentinel_service={"type": "str", "default": "redis-sentinel"},
            data_dir={"type": "path", "default": "/var/lib/redis"},
            config_file={"type": "path", "default": "/etc/redis/redis.conf"},
            admin_user={"type": "str"},
            admin_password={"type": "str", "no_log": True},
            ca={"type": "path"},
            watched={"type": "list", "elements": "path", "default": []},
            sentinel_watched={"type": "list", "elements": "path", "default": []},
        ),
        supports_check_mode=True,
    )
    answer(module, Question, Host)


if __name__ == "__main__":
    main()
