# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mongodb_member_info
short_description: Read a host that is, or shall become, a member of a MongoDB replica set
description:
  - Gives what decides whether a host can be a member of a set, and what it holds. Changes nothing.
  - Works on a bare host too; what cannot be known before MongoDB runs is null.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  address:
    description: Address by which the other members and the clients shall reach the host.
    type: str
    required: true
  port:
    description: Port of MongoDB.
    type: int
    default: 27017
  package:
    description: Name of the server's package.
    type: str
    default: mongodb-org-server
  packages:
    description: Other packages that the member needs.
    type: list
    elements: str
    default: []
  service:
    description: Name of the server's systemd unit.
    type: str
    default: mongod
  data_dir:
    description: Directory of the data.
    type: path
    default: /var/lib/mongodb
  config_file:
    description: The server's configuration, which tells whether the role has been here.
    type: path
    default: /etc/mongod.conf
  keyfile:
    description: Content of the key file, by which the server is asked as its like.
    type: str
  ca:
    description: Certificate authority of the server's certificate.
    type: path
  pem:
    description: The file in which the server wants certificate and key together.
    type: path
  pem_parts:
    description: The files that O(pem) is made of, the key last.
    type: list
    elements: path
    default: []
  watched:
    description: Files after whose change the server wants a restart.
    type: list
    elements: path
    default: []
extends_documentation_fragment:
  - tutorops.scale.attributes.reads
requirements:
  - pymongo 3.11 or newer on the host (the package python3-pymongo), for what only the server can tell
seealso:
  - module: tutorops.scale.mongodb_set
"""

EXAMPLES = r"""
- name: Look at the host
  tutorops.scale.mongodb_member_info:
    address: 10.0.0.11
  register: found

- name: Refuse a host that holds something
  ansible.builtin.assert:
    that: found.member.data_dir_empty
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
      sample: debian 12
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
    restart_needed:
      description: Whether one of the watched files changed since the server started.
      type: bool
    configured:
      description: Whether the configuration is the role's.
      type: bool
    pem_settled:
      description: Whether O(pem) is made of its parts, and has owner and mode of the key.
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
      description: Process that listens on the port and is not MongoDB, or null.
      type: str
    state:
      description:
        - State of the member in its set; C(UNINITIATED) before it has one, C(REMOVED) when it left it, or null.
      type: str
      sample: SECONDARY
    set_name:
      description: Name of its set, or null.
      type: str
    server_version:
      description: Version of the running server, or null.
      type: str
"""
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.member_info import answer
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_host import Host, Question


def main():
    module = AnsibleModule(
        argument_spec=dict(
            address={"type": "str", "required": True},
            port={"type": "int", "default": 27017},
            package={"type": "str", "default": "mongodb-org-server"},
            packages={"type": "list", "elements": "str", "default": []},
            service={"type": "str", "default": "mongod"},
            data_dir={"type": "path", "default": "/var/lib/mongodb"},
            config_file={"type": "path", "default": "/etc/mongod.conf"},
            keyfile={"type": "str", "no_log": True},
            ca={"type": "path"},
            pem={"type": "path"},
            pem_parts={"type": "list", "elements": "path", "default": []},
            watched={"type": "list", "elements": "path", "default": []},
        ),
        supports_check_mode=True,
    )
    answer(module, Question, Host)


if __name__ == "__main__":
    main()
