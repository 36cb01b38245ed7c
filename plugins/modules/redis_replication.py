# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: redis_replication
short_description: Form, recover, restart or describe a Redis cluster with Sentinels
description:
  - Keeps a primary with its replicas, and a Sentinel beside each. Runs on one host, and reaches every member and every
    Sentinel as administrator, over TLS.
  - A cluster is begun only where none is in service. A closed one, whose members refuse all writes and whose Sentinels
    watch nothing, stays closed; the member that follows a server outside goes on following it.
  - Looks before it acts, so a run that was interrupted is continued by the next one. Undoes no failover.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  state:
    description:
      - V(formed) completes a cluster as it is, open or closed; where there is none it does what O(bootstrap) says.
      - V(recovered) brings a cluster back after all its members were down.
      - V(restarted) restarts the members in O(restart) one by one, the primary last and after a failover, each only
        while the cluster is whole.
      - V(described) changes nothing.
    type: str
    choices: [formed, recovered, restarted, described]
    default: formed
  members:
    description: All members; each has a Sentinel beside it.
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
        description: Port of Redis.
        type: int
        default: 6379
  bootstrap:
    description:
      - What to do where no cluster is in service and O(state=formed).
      - V(new) begins an empty cluster with the first member; every member has to be empty.
      - V(seed) leaves empty members closed, for somebody who lets them follow a source.
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
    description: Recover although a member cannot be reached. Writes that only it has are lost.
    type: bool
    default: false
  sentinel_port:
    description: Port of the Sentinels.
    type: int
    default: 26379
  sentinel_name:
    description: What Sentinels call the cluster.
    type: str
    required: true
  sentinel_user:
    description: Account that the Sentinels use on the members.
    type: str
    required: true
  sentinel_password:
    description: Its password.
    type: str
    required: true
  down_after:
    description: Milliseconds of silence after which a Sentinel takes the primary for down.
    type: int
    default: 5000
  failover_timeout:
    description: Milliseconds after which a failover that does not go on is tried again.
    type: int
    default: 60000
  admin_user:
    description: Administrator of members and Sentinels.
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
    description: Seconds to wait for one answer of a member.
    type: float
    default: 10.0
  restart_timeout:
    description: Seconds that a member may take to come back after a restart.
    type: float
    default: 300.0
extends_documentation_fragment:
  - tutorops.scale.attributes.cluster
requirements:
  - redis-py on the host (the package python3-redis)
seealso:
  - module: tutorops.scale.redis_member_info
"""

EXAMPLES = r"""
- name: Form an empty cluster
  tutorops.scale.redis_replication:
    members:
      - {name: cache1, address: 10.0.0.11}
      - {name: cache2, address: 10.0.0.12}
      - {name: cache3, address: 10.0.0.13}
    bootstrap: new
    sentinel_name: openedx
    sentinel_user: tutorops_sentinel
    sentinel_password: "{{ redis_sentinel_password }}"
    admin_user: tutorops
    admin_password: "{{ redis_admin_password }}"
    ca: /etc/redis/tls/ca.pem
"""

RETURN = r"""
in_service:
  description: Whether a member takes writes.
  type: bool
  returned: success
closed:
  description: Whether all members that answer refuse writes and no Sentinel watches.
  type: bool
  returned: success
whole:
  description: Whether all members and Sentinels answer, follow, and watch what they have to.
  type: bool
  returned: success
primary:
  description: Name of the member that takes writes, or null.
  type: str
  returned: success
leader:
  description: Name of the member that the others follow, also in a closed cluster, or null.
  type: str
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
    reachable:
      description: Whether it answered.
      type: bool
    role:
      description: C(primary) or C(replica), or empty.
      type: str
    version:
      description: Version of its server.
      type: str
    link_up:
      description: Whether it follows whom it has to.
      type: bool
    follows:
      description: Whom it follows, or null.
      type: str
    fenced:
      description: Whether it refuses all writes even as a primary.
      type: bool
    key_count:
      description: How many keys it holds.
      type: int
    watched_by_sentinel:
      description: Whether its Sentinel watches a primary.
      type: bool
    error:
      description: Why it did not answer.
      type: str
"""
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.redis_client import Connection
from ansible_collections.tutorops.scale.plugins.module_utils.redis_group import Group, described
from ansible_collections.tutorops.scale.plugins.module_utils.redis_members import Members
from ansible_collections.tutorops.scale.plugins.module_utils.redis_sentinel import SentinelOptions, Sentinels
from ansible_collections.tutorops.scale.plugins.module_utils.redis_settings import Member
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
            port={"type": "int", "default": 6379},
        ),
    },
    bootstrap={"type": "str", "choices": ["new", "seed", "none"], "default": "none"},
    restart={"type": "list", "elements": "str", "default": []},
    force={"type": "bool", "default": False},
    sentinel_port={"type": "int", "default": 26379},
    sentinel_name={"type": "str", "required": True},
    sentinel_user={"type": "str", "required": True},
    sentinel_password={"type": "str", "required": True, "no_log": True},
    down_after={"type": "int", "default": 5000},
    failover_timeout={"type": "int", "default": 60000},
    admin_user={"type": "str", "required": True},
    admin_password={"type": "str", "required": True, "no_log": True},
    ca={"type": "path", "required": True},
    timeout={"type": "float", "default": 10.0},
    restart_timeout={"type": "float", "default": 300.0},
)


def open_group(options):
    """The cluster that the options describe."""

    def login(address, port):
        return Connection(
            address, port, options["admin_user"], options["admin_password"], options["ca"], options["timeout"]
        )

    members = tuple(Member(**one) for one in options["members"])
    watching = SentinelOptions(
        options["sentinel_port"],
        options["sentinel_name"],
        options["sentinel_user"],
        options["sentinel_password"],
        options["down_after"],
        options["failover_timeout"],
    )
    sentinels = Sentinels(members, watching, lambda member: login(member.address, options["sentinel_port"]))
    return Group(Members(members, lambda member: login(member.address, member.port)), sentinels)


def begins(options, found):
    """Whether a new cluster has to be begun."""
    inside = {f"{one['address']}:{one['port']}" for one in options["members"]}
    untouched = all(one["follows"] in (None, *inside) and not one["key_count"] for one in found["members"])
    return options["bootstrap"] == "new" and untouched and not found["in_service"]


def expected_change(options, found):
    """Whether a run would change something, as far as the members tell."""
    if options["state"] == "restarted":
        return bool(options["restart"])
    return begins(options, found) or not found["whole"]


def change(group, options, found):
    """Bring about the state that is asked for; says whether anything changed."""
    if options["state"] == "recovered":
        return group.recover(options["force"])
    if options["state"] == "restarted":
        group.restart(options["restart"], options["restart_timeout"])
        return bool(options["restart"])
    if begins(options, found):
        group.begin()
        return True
    if found["in_service"] or any(one["follows"] for one in found["members"]):
        return group.complete()
    return False


def lines(found):
    """The states of the members, for a diff."""
    return "".join(
        f"{one['name']}: {one['role'] or one['error']}{' follows ' + one['follows'] if one['follows'] else ''}\n"
        for one in found["members"]
    )


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options = module.params
    group = open_group(options)
    try:
        before = after = described(group.look())
        changed = False
        if options["state"] != "described":
            if module.check_mode:
                changed = expected_change(options, before)
            else:
                changed = change(group, options, before)
                after = described(group.look()) if changed else before
    except StoreError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, diff={"before": lines(before), "after": lines(after)}, **after)


if __name__ == "__main__":
    main()
