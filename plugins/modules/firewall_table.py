#!/usr/bin/python
# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall_table
short_description: Let only some addresses reach some ports
version_added: 0.1.0
description:
  - Keeps a table C(inet tutorops_NAME) of nftables in a file of its own, which is validated before it is written,
    loaded in one transaction, and loaded again at each boot and after C(nftables.service) flushed the ruleset, by
    C(tutorops-firewall.service).
  - Ports that it does not name and all other tables, such as Docker's, are left alone; so are connections that exist.
author:
  - Tutor Ops contributors (@tutorops)
options:
  name:
    description: What the table is called, after C(tutorops_); lower-case letters, digits and underscores.
    type: str
    required: true
  state:
    description: Whether there is such a table.
    type: str
    choices: [present, absent]
    default: present
  rules:
    description: Who may reach what.
    type: list
    elements: dict
    default: []
    suboptions:
      ports:
        description: TCP ports that are closed to everybody else.
        type: list
        elements: int
        required: true
      sources:
        description: Addresses and networks that may reach them, IPv4 or IPv6. Names are refused.
        type: list
        elements: str
        required: true
extends_documentation_fragment:
  - tutorops.scale.attributes
attributes:
  diff_mode:
    description: Shows the files that differ.
requirements:
  - the package nftables on the host
"""

EXAMPLES = r"""
- name: Let the members and the app server reach MySQL
  tutorops.scale.firewall_table:
    name: mysql
    rules:
      - ports: [3306, 9200]
        sources: [10.0.0.10, 10.0.0.11, 10.0.0.12, 10.0.0.13]
"""

RETURN = r"""
steps:
  description: What was done besides writing files.
  type: list
  elements: str
  returned: success
  sample: [table inet tutorops_mysql is loaded]
"""

import re

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.firewall import Firewall, FirewallError, Rule
from ansible_collections.tutorops.scale.plugins.module_utils.host_files import FilesError


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "rules": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "ports": {"type": "list", "elements": "int", "required": True},
                    "sources": {"type": "list", "elements": "str", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        module.fail_json(msg=f"{name!r} is no name of a table: use lower-case letters, digits and underscores.")
    firewall = Firewall(name)
    rules = [Rule(tuple(rule["ports"]), tuple(rule["sources"])) for rule in module.params["rules"]]
    try:
        if module.params["state"] == "present":
            report = firewall.guard(rules, module.check_mode)
        else:
            report = firewall.open(module.check_mode)
    except (FirewallError, FilesError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename} cannot be read or written: {error.strerror}.")
    module.exit_json(changed=report.changed, steps=report.steps, diff=[one.shown() for one in report.files])


if __name__ == "__main__":
    main()
