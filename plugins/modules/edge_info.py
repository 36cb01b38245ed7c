#!/usr/bin/python
# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: edge_info
short_description: Tell whether a host can carry an edge
version_added: 0.1.0
description:
  - Looks for the address and the ports that an edge is to listen on, and for the tools that it needs. Installs and
    changes nothing, and needs nothing but Python on the host.
author:
  - Tutor Ops contributors (@tutorops)
options:
  address:
    description: The address that the edge is to listen on.
    type: str
    required: true
  ports:
    description: The ports that the edge is to listen on.
    type: list
    elements: int
    default: []
  unit:
    description: The systemd unit of the edge; what it listens on already is not in its own way.
    type: str
    default: tutorops-edge.service
  packages:
    description: Packages that the edge needs.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - tutorops.scale.attributes.reads
"""

EXAMPLES = r"""
- name: Look for what keeps an edge from listening
  tutorops.scale.edge_info:
    address: 10.0.0.10
    ports: [3306, 13306]
  register: edge
"""

RETURN = r"""
address_here:
  description: Whether the address is one of this host.
  type: bool
  returned: always
addresses:
  description: The host's IPv4 addresses.
  type: list
  elements: str
  returned: always
packages_missing:
  description: Which of O(packages) are not installed.
  type: list
  elements: str
  returned: always
docker:
  description: Where the docker command is; empty when there is none.
  type: str
  returned: always
conflicts:
  description: Listeners of others that are in the way, one for each port.
  type: list
  elements: dict
  returned: always
  sample: [{"address": "0.0.0.0", "port": 3306, "process": "mysqld", "pid": 812, "unit": "mysql.service"}]
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.listeners import addresses, conflicts
from ansible_collections.tutorops.scale.plugins.module_utils.packages import missing


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "ports": {"type": "list", "elements": "int", "default": []},
            "packages": {"type": "list", "elements": "str", "default": []},
            "unit": {"type": "str", "default": "tutorops-edge.service"},
        },
        supports_check_mode=True,
    )
    wanted = module.params["address"]
    here = addresses()
    found = conflicts(wanted, module.params["ports"], module.params["unit"])
    module.exit_json(
        changed=False,
        address_here=wanted in here,
        addresses=here,
        packages_missing=missing(module.params["packages"]),
        docker=module.get_bin_path("docker") or "",
        conflicts=[asdict(each) for each in found],
    )


if __name__ == "__main__":
    main()
