# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mongodb_set
short_description: Form, recover, restart or describe a MongoDB replica set
description:
  - Keeps a replica set. Runs on one host, and reaches every member by the set's key file.
  - A set is begun only where none is in service, and only once. Members that follow a server outside of the cluster,
    without a vote, stay like that.
  - Looks before it acts, so a run that was interrupted is continued by the next one.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  state:
    description:
      - V(formed) completes a set in service; without one it does what O(bootstrap) says.
      - V(recovered) waits until a set whose members were all down has a primary again.
      - V(restarted) restarts the members in O(restart) one by one, the primary last, each only while all are well.
      - V(described) changes nothing.
    type: str
    choices: [formed, recovered, restarted, described]
    default: formed
  members:
    description: All members of the cluster; the first one begins the set.
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
        description: Port of MongoDB.
        type: int
        default: 27017
  set_name:
    description: Name of the set.
    type: str
    required: true
  bootstrap:
    description:
      - What to do where no set is in service and O(state=formed).
      - V(new) begins an empty set with all members; every member has to be empty.
      - V(seed) leaves empty members to somebody who has a set that they shall join.
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
      - Recover although members cannot be reached. They leave the set, and writes that only they have are lost; each
        has to be emptied before it can join again. Members that follow a server outside of the cluster go on without
        it.
    type: bool
    default: false
  keyfile:
    description: Content of the set's key file.
    type: str
    required: true
  admin_user:
    description: Administrator, who gets the role C(root) where the set takes writes.
    type: str
    required: true
  admin_password:
    description: The administrator's password.
    type: str
    required: true
  ca:
    description: Certificate authority of the members' certificates.
    type: path
    required: true
  timeout:
    description: Seconds for which a member may show no progress.
    type: float
    default: 300.0
extends_documentation_fragment:
  - tutorops.scale.attributes.cluster
requirements:
  - pymongo 3.11 or newer on the host (the package python3-pymongo)
seealso:
  - module: tutorops.scale.mongodb_member_info
"""

EXAMPLES = r"""
- name: Form an empty set
  tutorops.scale.mongodb_set:
    members:
      - {name: data1, address: 10.0.0.11}
      - {name: data2, address: 10.0.0.12}
      - {name: data3, address: 10.0.0.13}
    set_name: openedx
    bootstrap: new
    keyfile: "{{ mongodb_keyfile }}"
    admin_user: tutorops_admin
    admin_password: "{{ mongodb_admin_password }}"
    ca: /etc/mongodb/tls/ca.pem
"""

RETURN = r"""
in_service:
  description: Whether a set is in service, that is, has a primary.
  type: bool
  returned: success
primary:
  description: Name of the primary, its address when it is no member of the cluster, or null.
  type: str
  returned: success
closed:
  description: Whether the members follow a server outside of the cluster and cannot be elected.
  type: bool
  returned: success
members:
  description: What every member says of itself.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name of the member.
      type: str
    host:
      description: Its address and port.
      type: str
    reachable:
      description: Whether it answered.
      type: bool
    error:
      description: Why it did not.
      type: str
    state:
      description: Its state in the set; C(UNINITIATED) before it has one.
      type: str
      sample: PRIMARY
    set_name:
      description: Name of its set.
      type: str
    version:
      description: Version of the server.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_client import Client
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_cluster import Administrator, Cluster
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_config import split_host
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_settings import Member
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
            port={"type": "int", "default": 27017},
        ),
    },
    set_name={"type": "str", "required": True},
    bootstrap={"type": "str", "choices": ["new", "seed", "none"], "default": "none"},
    restart={"type": "list", "elements": "str", "default": []},
    force={"type": "bool", "default": False},
    keyfile={"type": "str", "required": True, "no_log": True},
    admin_user={"type": "str", "required": True},
    admin_password={"type": "str", "required": True, "no_log": True},
    ca={"type": "path", "required": True},
    timeout={"type": "float", "default": 300.0},
)


def open_cluster(options):
    """The cluster that the options describe."""
    kept = {}

    def connect(host):
        if host not in kept:
            address, port = split_host(host)
            kept[host] = Client(address, port, keyfile=options["keyfile"], ca=options["ca"], timeout=15.0)
        return kept[host]

    def log_in(host, user, password):
        address, port = split_host(host)
        return Client(address, port, user=user, password=password, ca=options["ca"])

    return Cluster(
        [Member(**one) for one in options["members"]],
        options["set_name"],
        connect,
        Administrator(options["admin_user"], options["admin_password"]),
        log_in,
        patience=options["timeout"],
    )


def described(cluster, standing):
    """What the module returns of a cluster."""
    names = {member.host: member.name for member in cluster.members}
    return {
        "in_service": standing.in_service,
        "primary": names.get(standing.primary, standing.primary),
        "closed": standing.closed(cluster.hosts),
        "members": [{**state.as_dict(), "name": names[state.host]} for state in standing.states],
    }


def expected_change(cluster, options, standing):
    """Whether a run would change something, as far as the members tell."""
    if options["state"] == "restarted":
        return bool(options["restart"])
    if options["state"] == "recovered":
        return not standing.in_service
    return cluster.expected(options["bootstrap"], standing)


def change(cluster, options):
    """Bring about the state that is asked for; says whether anything changed."""
    if options["state"] == "recovered":
        return cluster.recover(force=options["force"])
    if options["state"] == "restarted":
        cluster.restart(options["restart"])
        return bool(options["restart"])
    return cluster.converge(options["bootstrap"])


def lines(found):
    """The states of the members, for a diff."""
    return "".join(f"{one['name']}: {one['state']}\n" for one in found["members"])


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options = module.params
    try:
        cluster = open_cluster(options)
        standing = cluster.look()
        before = after = described(cluster, standing)
        changed = False
        if options["state"] != "described":
            if module.check_mode:
                changed = expected_change(cluster, options, standing)
            else:
                changed = change(cluster, options)
                after = described(cluster, cluster.look()) if changed else before
    except StoreError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, diff={"before": lines(before), "after": lines(after)}, **after)


if __name__ == "__main__":
    main()
