# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mysql_group
short_description: Form, recover, restart or describe a MySQL group
description:
  - Keeps a single-primary group of Group Replication. Runs on one host, and reaches every member as its administrator.
  - A group is begun only where none is in service, and only once. A closed group stays closed.
  - Looks before it acts, so a run that was interrupted is continued by the next one.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
extends_documentation_fragment:
  - tutorops.scale.mysql_accounts
  - tutorops.scale.attributes.cluster
options:
  state:
    description:
      - V(formed) completes a group in service; without one it does what O(bootstrap) says.
      - V(recovered) starts a group again after all its members were down, from the most advanced one. With a group in
        service it only brings back the members that are missing.
      - V(restarted) restarts the members in O(restart) one by one, the primary last, each only while all are ONLINE.
      - V(described) changes nothing.
    type: str
    choices: [formed, recovered, restarted, described]
    default: formed
  members:
    description: All members of the group.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What the member is called in messages.
        type: str
        required: true
      address:
        description: Address by which it is reached; its certificate has to name it.
        type: str
        required: true
      port:
        description: Port of MySQL.
        type: int
        default: 3306
  group_name:
    description: Name of the group, a UUID.
    type: str
    required: true
  bootstrap:
    description:
      - What to do where no group is in service and O(state=formed).
      - V(new) begins an empty group with the first member; every member has to be empty.
      - V(seed) prepares empty members for somebody who copies data into the first one and begins the group there.
      - V(none) does nothing.
    type: str
    choices: [new, seed, none]
    default: none
  restart:
    description: Names of members to restart with O(state=restarted).
    type: list
    elements: str
    default: []
  force:
    description:
      - Recover although a member cannot be reached. Writes that only it has are lost, and it has to be emptied before
        it can join again.
    type: bool
    default: false
  ca:
    description: Certificate authority of the members' certificates.
    type: path
    required: true
  health_port:
    description:
      - Port of the members' health endpoints, to ask them too with O(state=described). An endpoint that says something
        else than its member is asked again, for 10 seconds at most.
    type: int
  timeout:
    description: Seconds to wait for one answer of a member.
    type: float
    default: 180.0
seealso:
  - module: tutorops.scale.mysql_member_info
"""

EXAMPLES = r"""
- name: Form an empty group
  tutorops.scale.mysql_group:
    members:
      - {name: db1, address: 10.0.0.11}
      - {name: db2, address: 10.0.0.12}
      - {name: db3, address: 10.0.0.13}
    group_name: 0b9c3a55-6c64-4f2f-8f6e-3d9c3f3f8a11
    bootstrap: new
    admin_user: tutorops_admin
    admin_password: "{{ mysql_admin_password }}"
    replication_user: tutorops_repl
    replication_password: "{{ mysql_replication_password }}"
    ca: /etc/mysql/tls/ca.pem
"""

RETURN = r"""
in_service:
  description: Whether a group with a majority is in service.
  type: bool
  returned: success
primary:
  description: Name of the primary, or null.
  type: str
  returned: success
closed:
  description: Whether the group refuses its clients' writes, or null without a primary.
  type: bool
  returned: success
health_differs:
  description: Names of the members whose health endpoints tell something else, or nothing.
  type: list
  elements: str
  returned: with O(health_port) and O(state=described)
members:
  description: What every member says of itself.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name of the member.
      type: str
    reachable:
      description: Whether it answered.
      type: bool
    error:
      description: Why it did not.
      type: str
    state:
      description: Its state in the group.
      type: str
      sample: ONLINE
    health:
      description: The state that its health endpoint tells, or null when that does not answer or was not asked.
      type: str
      sample: ONLINE
    role:
      description: Its role in the group.
      type: str
      sample: PRIMARY
    in_service:
      description: Whether it belongs to a group with a majority.
      type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import Connection
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_group import Accounts, Group, Member
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_health import await_endpoints
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError

ARGUMENTS = dict(
    state={"type": "str", "choices": ["formed", "recovered", "restarted", "described"], "default": "formed"},
    members={
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": dict(
            name={"type": "str", "required": True},
            address={"type": "str", "required": True},
            port={"type": "int", "default": 3306},
        ),
    },
    group_name={"type": "str", "required": True},
    bootstrap={"type": "str", "choices": ["new", "seed", "none"], "default": "none"},
    restart={"type": "list", "elements": "str", "default": []},
    force={"type": "bool", "default": False},
    admin_user={"type": "str", "required": True},
    admin_password={"type": "str", "required": True, "no_log": True},
    admin_hosts={"type": "list", "elements": "str", "default": ["%"]},
    replication_user={"type": "str", "required": True},
    replication_password={"type": "str", "required": True, "no_log": True},
    health_user={"type": "str", "default": "tutorops_health"},
    ca={"type": "path", "required": True},
    health_port={"type": "int"},
    timeout={"type": "float", "default": 180.0},
)


def open_group(options):
    """The group that the options describe."""
    accounts = Accounts(
        admin_user=options["admin_user"],
        admin_password=options["admin_password"],
        replication_user=options["replication_user"],
        replication_password=options["replication_password"],
        health_user=options["health_user"],
        admin_hosts=tuple(options["admin_hosts"]),
    )

    def connect(member):
        return Connection(
            member.address,
            member.port,
            options["admin_user"],
            options["admin_password"],
            ca=options["ca"],
            timeout=options["timeout"],
        )

    return Group([Member(**one) for one in options["members"]], options["group_name"], accounts, connect)


def described(group):
    """What the module returns of a group."""
    states = group.look()
    primary = next((state for state in states if state.primary), None)
    return {
        "in_service": group.in_service(states),
        "primary": primary.name if primary else None,
        "closed": (not primary.open_action and primary.super_read_only) if primary else None,
        "members": [state.as_dict() for state in states],
    }


def expected_change(group, options, found):
    """Whether a run would change something, as far as the members tell."""
    if options["state"] == "restarted":
        return bool(options["restart"])
    complete = found["in_service"] and all(member["state"] == "ONLINE" for member in found["members"])
    if options["state"] == "recovered" or found["in_service"] or options["bootstrap"] == "new":
        return not complete
    return options["bootstrap"] == "seed" and not all(group.is_prepared(member) for member in group.members)


def change(group, options):
    """Bring about the state that is asked for; says whether anything changed."""
    if options["state"] == "recovered":
        return group.recover(force=options["force"])
    if options["state"] == "restarted":
        group.restart(options["restart"])
        return bool(options["restart"])
    return group.converge(options["bootstrap"], group.members[0])


def lines(found):
    """The states of the members, for a diff."""
    return "".join(f"{one['name']}: {one['state']} {one['role']}".rstrip() + "\n" for one in found["members"])


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options = module.params
    group = open_group(options)
    try:
        before = after = described(group)
        changed = False
        if options["state"] == "described" and options["health_port"]:
            expected = {one["name"]: one["state"] for one in after["members"]}
            health = await_endpoints(group.members, options["health_port"], expected)
            after["members"] = [{**one, "health": health[one["name"]]} for one in after["members"]]
            after["health_differs"] = [name for name, state in health.items() if state != expected[name]]
        elif options["state"] != "described":
            if module.check_mode:
                changed = expected_change(group, options, before)
            else:
                changed = change(group, options)
                after = described(group) if changed else before
    except StoreError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, diff={"before": lines(before), "after": lines(after)}, **after)


if __name__ == "__main__":
    main()
