#!/usr/bin/python
# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: store_plan
short_description: Tell what moving a store would do, and what stands in its way
version_added: 0.1.0
description:
  - Reads a store of Tutor on the app server with the client inside its container, judges it together with what is known
    of the members of its cluster, and returns findings. Changes nothing and installs nothing.
  - A finding has an C(id) that stays the same over releases, a severity (C(blocker), C(warning) or C(info)), a
    subject, a message and, where there is one, a cure.
author:
  - Tutor Ops contributors (@tutorops)
options:
  store:
    description: The store.
    type: str
    choices: [mysql, mongodb, redis]
    required: true
  settings:
    description: The settings of the store's driver, as they are written to C(/etc/tutorops/stores) on the app server.
    type: dict
    required: true
    suboptions:
      compose_project:
        description: The compose project of the platform.
        type: str
        required: true
      source:
        description: Tutor's container and how root gets in.
        type: dict
        required: true
        suboptions:
          service:
            description: Its service.
            type: str
            required: true
          port:
            description: Its port.
            type: int
          root_user:
            description: Who may do everything there, for O(store=mysql).
            type: str
          root_password:
            description: The password of O(settings.source.root_user).
            type: str
          user:
            description: Who is let in there, for O(store=redis).
            type: str
          password:
            description: The password of O(settings.source.user).
            type: str
      cluster:
        description: The cluster and its accounts.
        type: dict
        required: true
        suboptions:
          members:
            description: The members.
            type: list
            elements: dict
          port:
            description: Their port.
            type: int
          health_port:
            description: The port of their health endpoint.
            type: int
          sentinel_port:
            description: The port of their Sentinels, for O(store=redis).
            type: int
          sentinel_name:
            description: What Sentinels call the cluster.
            type: str
          maxmemory:
            description: How much a member of O(store=redis) may hold, as redis.conf takes it.
            type: str
          sentinel_user:
            description: The account of Sentinels.
            type: str
          sentinel_password:
            description: The password of O(settings.cluster.sentinel_user).
            type: str
          group_name:
            description: The name of their group.
            type: str
          admin_user:
            description: Their administrator.
            type: str
          admin_password:
            description: The password of O(settings.cluster.admin_user).
            type: str
          replication_user:
            description: The account of replication.
            type: str
          replication_password:
            description: The password of O(settings.cluster.replication_user).
            type: str
      application:
        description: The platform's account, for stores whose local end has none yet.
        type: dict
        suboptions:
          user:
            description: Its name.
            type: str
          password:
            description: Its password.
            type: str
          databases:
            description: The databases that it may use, for O(store=mongodb).
            type: list
            elements: str
      set_name:
        description: The name of the set, for O(store=mongodb).
        type: str
      keyfile:
        description: What members of the set prove themselves with.
        type: str
      edge_address:
        description: The address of the edge.
        type: str
      edge_port:
        description: Its port for the store.
        type: int
      tutor_root:
        description: The root of Tutor.
        type: str
      tutor_owner:
        description: To whom it belongs.
        type: str
      tutor_binary:
        description: The tutor executable.
        type: str
      tutor_plugins_root:
        description: The folder of its plugins.
        type: str
      source_address:
        description: Where members reach the container.
        type: str
      source_port:
        description: The port there.
        type: int
      way_back_port:
        description: The port by which the container reaches the cluster, for O(store=redis).
        type: int
      databases:
        description: The databases; empty for all.
        type: list
        elements: str
      tls:
        description: The paths of certificates.
        type: dict
      copy:
        description: How the data are copied; V(auto) is physical within a series, and logical between two.
        type: str
        choices: [auto, physical, logical]
        default: auto
      limits:
        description: Limits of a flip.
        type: dict
  members:
    description: What the cluster's role found on each member, with the name of the host as C(host).
    type: list
    elements: dict
    required: true
  tutor:
    description: What is known of Tutor; C(changes) names the settings that an attach would change.
    type: dict
    default: {}
  attached:
    description: Whether the platform already reaches the store through the edge. Clients that do not would be left
      behind.
    type: bool
    default: false
  pointer:
    description: The pointer of the store. Where it names the cluster there is nothing left to plan.
      The default is the one that the role C(tutorops.scale.edge) keeps.
    type: path
extends_documentation_fragment:
  - tutorops.scale.attributes.reads
"""

EXAMPLES = r"""
- name: Plan the move of MySQL
  tutorops.scale.store_plan:
    store: mysql
    settings: "{{ mysql_store_settings }}"
    members: "{{ groups['mysql'] | map('extract', hostvars, 'offload_member') }}"
"""

RETURN = r"""
findings:
  description: What was found, blockers first.
  type: list
  elements: dict
  returned: always
  sample: [{"id": "mysql.engine", "severity": "blocker", "subject": "source", "message": "...", "cure": "..."}]
blocked:
  description: Whether a finding blocks the move.
  type: bool
  returned: always
estimate:
  description: What the move would take, or null where the source could not be read.
  type: dict
  returned: always
  contains:
    bytes:
      description: Bytes to copy.
      type: int
    follow_seconds:
      description: Seconds until the cluster follows, while the platform serves.
      type: int
    stall_seconds:
      description: Seconds for which a flip holds requests.
      type: float
    way:
      description: How the data get there.
      type: str
      sample: physical
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils import (
    mongodb_facts,
    mongodb_plan,
    mysql_facts,
    mysql_plan,
    redis_facts,
    redis_plan,
)
from ansible_collections.tutorops.scale.plugins.module_utils.docker import Docker, DockerError, gateways
from ansible_collections.tutorops.scale.plugins.module_utils.edge import read_pointer
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_container import ContainerConnection
from ansible_collections.tutorops.scale.plugins.module_utils.paths import PATHS
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import CLUSTER, Finding, StoreError, blocker

Plan = tuple[list[Finding], "dict[str, object] | None"]


def unreadable(store: str, problem: Exception) -> Plan:
    """Why the source cannot be read."""
    if store == "mysql" and "Access denied" in str(problem):
        message = "Tutor's MySQL refuses the user and password that Tutor has for it"
        cure = "set MYSQL_ROOT_PASSWORD in Tutor to the password that the server has"
        return [blocker("mysql.root_password", "source", message, cure)], None
    if isinstance(problem, redis_facts.Refused):
        message = f"Tutor's Redis refuses the user and password that Tutor has for it ({problem})"
        cure = "set REDIS_USERNAME and REDIS_PASSWORD in Tutor to what the server has"
        return [blocker("redis.source_password", "source", message, cure)], None
    cure = f"run `tutor local start -d {store}` and see its log"
    return [blocker(f"{store}.source", "source", str(problem), cure)], None


def plan(given: dict[str, Any], docker: Docker) -> Plan:
    """The findings and the estimate."""
    store = given["store"]
    pointer = Path(given["pointer"] or PATHS.pointer(store))
    if pointer.exists() and read_pointer(pointer, store) == CLUSTER:
        return [Finding(f"{store}.moved", "info", "store", "the cluster serves already")], None
    try:
        return PLANS[store](given, docker, container_of(given, docker))
    except (StoreError, DockerError) as problem:
        return unreadable(store, problem)


def container_of(given: dict[str, Any], docker: Docker) -> str:
    """The name of the store's container."""
    service = given["settings"]["source"]["service"]
    container = docker.container(given["settings"]["compose_project"], service)
    if container is None or not container.running:
        raise StoreError(f"the container of service {service} does not run")
    return container.name


def changes_of(given: dict[str, Any]) -> list[str]:
    """The settings of Tutor that would change."""
    return sorted(given["tutor"].get("changes") or [])


def plan_mysql(given: dict[str, Any], docker: Docker, container: str) -> Plan:
    """What MySQL's container and the members tell."""
    settings = given["settings"]
    source, cluster = settings["source"], settings["cluster"]
    with ContainerConnection(container, source["root_user"], source["root_password"]) as reader:
        found = mysql_facts.read_source(reader, (cluster["admin_user"], cluster["replication_user"]))
    known = mysql_plan.PlanFacts(
        found,
        given["members"],
        gateways(docker.subnets(settings["compose_project"])),
        given["attached"],
        changes_of(given),
        copy=settings.get("copy") or "auto",
        group_name=cluster.get("group_name") or "",
    )
    return mysql_plan.judge(known), mysql_plan.estimate(known).as_dict()


def plan_mongodb(given: dict[str, Any], docker: Docker, container: str) -> Plan:
    """What MongoDB's container, asked by the platform's own client, and the members tell."""
    settings, source = given["settings"], given["settings"]["source"]
    reader = mongodb_facts.Reader(docker, settings["compose_project"], source["service"], source.get("port") or 27017)
    application = settings.get("application") or {}
    known = mongodb_plan.PlanFacts(
        mongodb_facts.read_source(reader),
        given["members"],
        settings["set_name"],
        app_user=application.get("user") or "openedx",
        app_password=application.get("password") or "",
        keyfile=settings.get("keyfile") or "",
        databases=application.get("databases") or (),
        attached=given["attached"],
        tutor_changes=changes_of(given),
    )
    return mongodb_plan.judge(known), mongodb_plan.estimate(known).as_dict()


def plan_redis(given: dict[str, Any], docker: Docker, container: str) -> Plan:
    """What Redis's container and the members tell."""
    settings, source = given["settings"], given["settings"]["source"]
    user, password = source.get("user") or "", source.get("password") or ""
    reader = redis_facts.Reader(docker, container, source.get("port") or 6379, user, password)
    known = redis_plan.PlanFacts(
        redis_facts.read_source(reader),
        given["members"],
        sentinel_port=settings["cluster"].get("sentinel_port") or 26379,
        maxmemory=settings["cluster"].get("maxmemory") or "",
        app_password=(settings.get("application") or {}).get("password") or "",
        attached=given["attached"],
        tutor_changes=changes_of(given),
    )
    return redis_plan.judge(known), redis_plan.estimate(known).as_dict()


#: Who judges each store.
PLANS = {"mysql": plan_mysql, "mongodb": plan_mongodb, "redis": plan_redis}

#: Only the passwords are secret: marking everything would hide every word that the settings and a finding share.
SETTINGS = dict(
    compose_project=dict(type="str", required=True),
    source=dict(
        type="dict",
        required=True,
        options=dict(
            service=dict(type="str", required=True),
            port=dict(type="int"),
            root_user=dict(type="str"),
            root_password=dict(type="str", no_log=True),
            user=dict(type="str"),
            password=dict(type="str", no_log=True),
        ),
    ),
    cluster=dict(
        type="dict",
        required=True,
        options=dict(
            members=dict(type="list", elements="dict"),
            port=dict(type="int"),
            health_port=dict(type="int"),
            sentinel_port=dict(type="int"),
            sentinel_name=dict(type="str"),
            maxmemory=dict(type="str"),
            sentinel_user=dict(type="str"),
            sentinel_password=dict(type="str", no_log=True),
            group_name=dict(type="str"),
            admin_user=dict(type="str"),
            admin_password=dict(type="str", no_log=True),
            replication_user=dict(type="str"),
            replication_password=dict(type="str", no_log=True),
        ),
    ),
    application=dict(
        type="dict",
        options=dict(
            user=dict(type="str"),
            password=dict(type="str", no_log=True),
            databases=dict(type="list", elements="str"),
        ),
    ),
    set_name=dict(type="str"),
    keyfile=dict(type="str", no_log=True),
    edge_address=dict(type="str"),
    edge_port=dict(type="int"),
    tutor_root=dict(type="str"),
    tutor_owner=dict(type="str"),
    tutor_binary=dict(type="str"),
    tutor_plugins_root=dict(type="str"),
    source_address=dict(type="str"),
    source_port=dict(type="int"),
    way_back_port=dict(type="int"),
    databases=dict(type="list", elements="str"),
    tls=dict(type="dict"),
    copy=dict(type="str", choices=["auto", "physical", "logical"], default="auto"),
    limits=dict(type="dict"),
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            store=dict(type="str", choices=["mysql", "mongodb", "redis"], required=True),
            settings=dict(type="dict", required=True, options=SETTINGS),
            members=dict(type="list", elements="dict", required=True),
            tutor=dict(type="dict", default={}),
            attached=dict(type="bool", default=False),
            pointer=dict(type="path"),
        ),
        supports_check_mode=True,
    )
    try:
        findings, outlook = plan(module.params, Docker())
    except KeyError as problem:
        module.fail_json(msg=f"the settings of store {module.params['store']} or a member's facts lack {problem}")
    except StoreError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(
        changed=False,
        findings=[one.as_dict() for one in findings],
        blocked=any(one.blocks for one in findings),
        estimate=outlook,
    )


if __name__ == "__main__":
    main()
