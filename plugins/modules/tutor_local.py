# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tutor_local
short_description: Start, stop, restart and roll services of a local Tutor platform
description:
  - Brings services of C(tutor local) into a state, and tells from the containers themselves what that changed.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  state:
    description:
      - V(started) creates what is missing, re-creates what was made from another definition, and removes containers of
        services that the platform no longer has, among them a store whose C(RUN_) setting became false.
      - V(stopped) stops processes and keeps containers.
      - V(restarted) interrupts the services and has them read their files again. Services whose definition changed
        (image, environment, mounts) are created anew instead, because a restart alone would not apply that.
      - V(rebooted) stops everything first and then starts it. The platform is down meanwhile.
      - V(rolled) replaces the containers of those services that run with other settings than those rendered, one after
        the other, while requests are answered and tasks are finished. It needs root, C(nft) and C(nsenter).
      - Stores, the web proxy and whatever publishes a port of the host run only once, and so are not rolled.
    type: str
    choices: [started, stopped, restarted, rebooted, rolled]
    default: started
  services:
    description:
      - Services to act on, all by default. V(openedx) stands for lms, cms and their workers.
      - An unknown service is an error that lists the known ones.
    type: list
    elements: str
    default: []
  wait_for:
    description:
      - What must be true before the task ends. Tutor's containers have no health checks, so this has to be asked for.
      - V(running) waits until each service runs and stays the same process for a second.
      - V(answering) waits, in addition, until the LMS answers through Caddy with anything but a server error.
      - V(none) does not wait.
      - V(rolled) waits in any case until each new container answers, and for nothing where none was due.
    type: str
    choices: [none, running, answering]
    default: running
  wait_timeout:
    description: Seconds to wait for O(wait_for) before the task fails.
    type: float
    default: 120.0
extends_documentation_fragment:
  - tutorops.scale.tutor
  - tutorops.scale.attributes
attributes:
  check_mode:
    description: Compares containers with the rendered definitions.
    details: Services that compose would start along, because a named one depends on them, are not predicted.
    support: partial
  diff_mode:
    description: Shows state and identity of the containers that changed.
notes:
  - Processes read changed files such as hosts and passwords of stores only when they are restarted or rolled; changed
    definitions such as numbers of workers only when they are started. V(restarted) does both.
  - The container C(permissions) ends each time it has started; that does not count as a change.
seealso:
  - module: tutorops.scale.tutor_config
  - module: tutorops.scale.tutor_job
"""

EXAMPLES = r"""
- name: Start the platform, and wait until learners get answers
  tutorops.scale.tutor_local:
    owner: tutor
    wait_for: answering

- name: Have the platform read new settings without refusing a request
  tutorops.scale.tutor_local:
    owner: tutor
    state: rolled
    services: [openedx, notes]
    wait_timeout: 600
"""

RETURN = r"""
root:
  description: The Tutor root.
  type: str
  returned: success
changes:
  description: Services by what happened to their containers, or in check mode would happen.
  type: dict
  returned: success
  contains:
    created:
      description: Services with a new container.
      type: list
      elements: str
    recreated:
      description: Services whose container was replaced.
      type: list
      elements: str
    started:
      description: Services whose process was started again.
      type: list
      elements: str
    stopped:
      description: Services whose process was stopped.
      type: list
      elements: str
    removed:
      description: Services whose container is gone.
      type: list
      elements: str
  sample: {"recreated": ["lms"]}
containers:
  description: Containers of the platform afterwards.
  type: list
  elements: dict
  returned: success
  contains:
    service:
      description: Service.
      type: str
    name:
      description: Name.
      type: str
    id:
      description: Identity.
      type: str
    state:
      description: State as docker names it.
      type: str
    image:
      description: Image.
      type: str
compose_version:
  description: Version of docker compose.
  type: str
  returned: success
  sample: 2.26.1
roll_needs:
  description: Packages that a roll needs and this host has not.
  type: list
  elements: str
  returned: success
  sample: [nftables]
roll:
  description: What the rolling restart did.
  type: dict
  returned: when O(state=rolled) and not in check mode
  contains:
    rolled:
      description: Services that were rolled, in order.
      type: list
      elements: str
    kept:
      description: Services that ran with the rendered settings already.
      type: list
      elements: str
    seconds:
      description: How long each took.
      type: dict
    cut:
      description: Connections that did not end within the time to drain, and were cut.
      type: int
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.netns import missing_packages
from ansible_collections.tutorops.scale.plugins.module_utils.roll import roll, stale
from ansible_collections.tutorops.scale.plugins.module_utils.tutor import TutorError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_containers import changes
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_module import TUTOR_OPTIONS, fail, open_tutor
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_platform import (
    Performed,
    await_answer,
    await_running,
    choose,
    perform,
)


def roll_services(tutor, services, timeout, check_mode):
    """Hand over to the rolling restart; gives what happened to the containers, and its own report."""
    chosen = choose(tutor, services)
    before = tutor.containers()
    if check_mode:
        due = stale(tutor, chosen)
        return Performed(bool(due), {"recreated": due} if due else {}, before), {}
    report = roll(tutor, chosen, timeout=timeout)
    if not report.rolled:
        return Performed(False, {}, before), asdict(report)
    left = stale(tutor, chosen)
    if left:
        raise TutorError(
            f"{', '.join(left)} runs with other settings than those rendered now, though all were rolled: somebody "
            "changed the platform meanwhile; run this again."
        )
    after = tutor.containers()
    found = changes(before, after)
    return Performed(True, found, after), asdict(report)


def shown(containers):
    """Describe containers for the result."""
    return [
        {name: getattr(container, name) for name in ("service", "name", "id", "state", "image")}
        for container in containers
    ]


def difference(before, after):
    """Describe for the diff what differs between two looks at the platform."""
    lines = [
        {f"{one.name}: {one.state}, {one.id[:12]}, since {one.started_at}" for one in containers if not one.one_shot}
        for containers in (before, after)
    ]
    return {
        "before": "".join(f"{line}\n" for line in sorted(lines[0] - lines[1])),
        "after": "".join(f"{line}\n" for line in sorted(lines[1] - lines[0])),
    }


def main():
    module = AnsibleModule(
        argument_spec=dict(
            TUTOR_OPTIONS,
            state={
                "type": "str",
                "choices": ["started", "stopped", "restarted", "rebooted", "rolled"],
                "default": "started",
            },
            services={"type": "list", "elements": "str", "default": []},
            wait_for={"type": "str", "choices": ["none", "running", "answering"], "default": "running"},
            wait_timeout={"type": "float", "default": 120.0},
        ),
        supports_check_mode=True,
    )
    params = module.params
    state, services = params["state"], params["services"]
    tutor = open_tutor(module)
    extra = {}
    try:
        before = tutor.containers()
        if state == "rolled":
            performed, extra["roll"] = roll_services(tutor, services, params["wait_timeout"], module.check_mode)
        else:
            performed = perform(tutor, state, services, module.check_mode)
        containers = performed.containers
        # A roll waits for what it replaces by itself; where it replaced nothing there is nothing to wait for.
        idle = state == "stopped" or (state == "rolled" and not performed.changed)
        if not idle and not module.check_mode and params["wait_for"] != "none":
            containers = await_running(tutor, services, params["wait_timeout"])
            if params["wait_for"] == "answering":
                await_answer(tutor, params["wait_timeout"])
        compose = tutor.docker("compose", "version", "--short", check=False).stdout.strip()
    except (TutorError, OSError) as error:
        fail(module, tutor, error)
    for warning in performed.warnings:
        module.warn(warning)
    module.exit_json(
        changed=performed.changed,
        root=str(tutor.root),
        changes=performed.changes,
        containers=shown(containers),
        compose_version=compose,
        roll_needs=missing_packages(),
        diff=difference(before, containers),
        **extra,
    )


if __name__ == "__main__":
    main()
