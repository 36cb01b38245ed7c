# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing deployments to the numbers that are wanted, so that they last, and waiting until their pods serve.

The order makes every interruption harmless: what is wanted is recorded before the cluster is scaled, so that Tutor's
next apply and the next run of this both go on towards it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from .stores.base import Finding
from .tutor import Tutor
from .tutor_errors import TutorError
from .tutor_k8s import COMPONENT, COMPONENT_LABEL, Cluster, Json, Kubectl, Owned
from .tutor_k8s_findings import files_in_object_storage, findings
from .tutor_k8s_plugin import PLUGIN, plugin_file, read_record
from .tutor_k8s_reason import reason
from .tutor_k8s_wanted import Wanted, covers
from .tutor_plugin_file import bring_to, installed_file
from .tutor_process import wait_until
from .tutor_stage import Outcome


@dataclass(frozen=True)
class Plan:
    """What is to be done, worked out from one look at the cluster and from what was recorded before."""

    record: list[Wanted]
    """What the plugin holds afterwards."""
    left: dict[str, str]
    """Deployments that an autoscaler of somebody else drives, with its name."""
    scale: dict[str, int]
    pods: list[Wanted]
    """Deployments whose running pods have other requests or limits."""
    apply: bool
    """Whether autoscalers or budgets are missing or differ."""
    delete: list[str]
    """Autoscalers and budgets of ours that are no longer wanted, as kubectl names them."""
    forget: list[str]
    """Deployments whose number Tutor applied before and must not take back to 1 now that it is no longer named."""
    drift: list[str] = field(default_factory=list)

    @property
    def changes_cluster(self) -> bool:
        """Say whether the cluster is to be changed at all."""
        return bool(self.scale or self.pods or self.apply or self.delete or self.forget)


@dataclass(frozen=True)
class Scaled:
    """What was done, or would be in check mode."""

    plan: Plan
    before: Cluster
    after: Cluster
    record_before: list[Wanted]
    findings: list[Finding]
    outcome: Outcome

    @property
    def changed(self) -> bool:
        """Say whether anything differs from before."""
        return self.plan.changes_cluster or self.outcome.changed


def recorded(tutor: Tutor) -> list[Wanted]:
    """Read what the plugin records now."""
    path = installed_file(tutor, PLUGIN)
    return read_record(path.read_text(encoding="utf-8")) if path else []


def adapted(cluster: Cluster, wanted: Iterable[Wanted]) -> list[Wanted]:
    """Name the container that requests and limits are for."""
    return [
        replace(one, container=cluster.deployments[one.name].main_container)
        if one.resources() and one.name in cluster.deployments
        else replace(one, container="")
        for one in wanted
    ]


def judged(tutor: Tutor, cluster: Cluster, wanted: list[Wanted], files_shared: bool) -> list[Finding]:
    """Collect the findings, those about drift from the record included."""
    shared = files_shared or files_in_object_storage(tutor.root / "env")
    drifted = [
        Finding(
            "k8s.drift",
            "warning",
            line.split(":", 1)[0],
            f"{line}.",
            "Run the playbook scale_k8s to return to what is recorded, or change the inventory.",
        )
        for line in drift(cluster, recorded(tutor))
    ]
    return [*findings(cluster, wanted, shared), *drifted]


def refuse_blockers(found: Iterable[Finding]) -> None:
    """Stop before anything changes."""
    blockers = [f"{finding.message} {finding.cure}" for finding in found if finding.blocks]
    if blockers:
        raise TutorError("Nothing was changed. " + " ".join(blockers))


def drift(cluster: Cluster, record: Iterable[Wanted]) -> list[str]:
    """Tell where the cluster is not as recorded, because somebody changed it by hand or Tutor never applied it."""
    lines = []
    for one in record:
        deployment = cluster.deployments.get(one.name)
        if deployment is None:
            lines.append(f"{one.name}: recorded, but the deployment is gone")
            continue
        stranger = cluster.autoscaler_of(one.name, ours=False)
        if stranger:
            lines.append(f"{one.name}: recorded, but HorizontalPodAutoscaler {stranger.name} drives it now")
        elif one.replicas is not None and deployment.replicas != one.replicas:
            lines.append(f"{one.name}: {one.replicas} replicas are recorded, {deployment.replicas} are set")
        lines += [
            f"{one.name}: its {kind} is not as recorded"
            for kind, same in (
                ("autoscaler", _present(one.autoscaler(), cluster.autoscalers)),
                ("disruption budget", _present(one.budget(), cluster.budgets)),
            )
            if not same
        ]
    return lines


def _present(manifest: Json | None, objects: Iterable[Owned]) -> bool:
    if manifest is None:
        return True
    name = manifest["metadata"]["name"]
    return any(one.ours and one.name == name and covers(one.spec, manifest["spec"]) for one in objects)


def plan(cluster: Cluster, wanted: list[Wanted], record: list[Wanted]) -> Plan:
    """Work out what is to be done; `wanted` has passed the findings."""
    strangers = {one.name: cluster.autoscaler_of(one.name, ours=False) for one in wanted}
    left = {name: stranger.name for name, stranger in strangers.items() if stranger}
    # An autoscaler of somebody else owns the number, and nothing else of the deployment.
    kept = [replace(one, replicas=None, autoscaling=None) if one.name in left else one for one in wanted]
    kept = [one for one in kept if one.patch() or one.budget() or one.autoscaler()]
    live = cluster.deployments
    pods = [
        one for one in kept if one.resources() and not covers(live[one.name].containers[one.container], one.resources())
    ]
    fixed = {one.name for one in kept if one.replicas is not None}
    touched = {one.name for one in [*kept, *record]} | set(left)
    return Plan(
        record=kept,
        left=left,
        scale={
            one.name: one.replicas
            for one in kept
            if one.replicas is not None and live[one.name].replicas != one.replicas
        },
        pods=pods,
        apply=not all(
            _present(one.autoscaler(), cluster.autoscalers) and _present(one.budget(), cluster.budgets) for one in kept
        ),
        delete=[
            *_unwanted("hpa", cluster.autoscalers, {one.name for one in kept if one.autoscaling}),
            *_unwanted("pdb", cluster.budgets, {one.name for one in kept if one.disruption_budget}),
        ],
        forget=sorted(
            name
            for name in touched - fixed
            if name in live and "replicas" in _last_applied_spec(live[name].last_applied)
        ),
        drift=drift(cluster, record),
    )


def _unwanted(kind: str, objects: Iterable[Owned], wanted: set[str]) -> list[str]:
    return [f"{kind}/{one.name}" for one in objects if one.ours and one.name not in wanted]


def _last_applied_spec(text: str) -> Json:
    spec: Json = json.loads(text).get("spec", {}) if text else {}
    return spec


def scale(
    tutor: Tutor,
    kubectl: Kubectl,
    wanted: list[Wanted],
    *,
    files_shared: bool = False,
    timeout: float = 300.0,
    check_mode: bool = False,
    backups: int = 5,
) -> Scaled:
    """Bring the deployments to what is wanted, and no others: what was recorded and is not named is released."""
    with tutor.locked():
        before = kubectl.cluster()
        wanted = adapted(before, wanted)
        found = judged(tutor, before, wanted, files_shared)
        refuse_blockers(found)
        record_before = recorded(tutor)
        todo = plan(before, wanted, record_before)
        if not check_mode:
            # Before the record: once that names a deployment no more, nobody would know that this is still to be done.
            for name in todo.forget:
                kubectl.forget_replicas(name)
        outcome = _keep(tutor, todo.record, check_mode, backups)
        if check_mode:
            return Scaled(todo, before, before, record_before, found, outcome)
        prove_rendered(kubectl, todo)
        change(tutor, kubectl, todo)
    await_available(kubectl, todo.record, timeout)
    after = kubectl.cluster() if todo.changes_cluster else before
    return Scaled(todo, before, after, record_before, found, outcome)


def _keep(tutor: Tutor, record: list[Wanted], check_mode: bool, backups: int) -> Outcome:
    """Have Tutor's plugin hold the record; without anything to hold there is no plugin."""
    state = "enabled" if record else "absent"
    file = plugin_file(record) if record else None
    return bring_to(tutor, PLUGIN, state, file, keep_config=False, check_mode=check_mode, backups=backups)


def prove_rendered(kubectl: Kubectl, todo: Plan) -> None:
    """Build the manifests as `tutor k8s start` will, and see that they keep each number, and name none elsewhere."""
    built = kubectl.built()
    fixed = {one.name: one.replicas for one in todo.record if one.replicas is not None}
    managed = set(fixed) | {one.name for one in todo.record if one.autoscaling}
    for manifest in built:
        name = manifest["metadata"]["name"]
        if manifest["kind"] != "Deployment" or name not in managed:
            continue
        replicas = manifest["spec"].get("replicas")
        if replicas != fixed.get(name):
            raise TutorError(
                f"Another plugin or `k8s-override` gives {name} {replicas} replicas in Tutor's manifests, against "
                f"{fixed.get(name, 'none (an autoscaler drives it)')} here, and would undo it at the next "
                "`tutor k8s start`; remove that patch and run this again."
            )


def change(tutor: Tutor, kubectl: Kubectl, todo: Plan) -> None:
    """Change the cluster, and of it only what differs; other pending changes of Tutor's settings stay pending."""
    if todo.delete:
        kubectl.run("delete", "--ignore-not-found", *todo.delete)
    for one in todo.pods:
        kubectl.run("patch", f"deployment/{one.name}", f"--patch={json.dumps({'spec': one.pod_patch()})}")
    if todo.apply:
        tutor.run("k8s", "apply", f"--selector={COMPONENT_LABEL}={COMPONENT}", timeout=300)
    for name, replicas in todo.scale.items():
        tutor.run("k8s", "scale", name, str(replicas), timeout=300)


def await_available(
    kubectl: Kubectl,
    record: Iterable[Wanted],
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until every deployment runs exactly the pods that it asks for, and all of them serve."""
    deadline = clock() + timeout
    for one in record:
        last: list[Any] = []

        def ready(one: Wanted = one, last: list[Any] = last) -> bool:
            last[:] = [kubectl.deployment(one.name)]
            enough = last[0].available >= one.least and (one.replicas is None or last[0].replicas == one.replicas)
            return bool(last[0].settled and enough)

        if wait_until(ready, max(0.0, deadline - clock()), 0.5, clock, sleep):
            continue
        deployment = last[0]
        target = max(one.least, deployment.replicas)
        raise TutorError(
            f"{one.name} has {deployment.available} of {target} replicas available after {timeout:g} s: "
            f"{reason(kubectl, deployment)} The number is recorded and stays in force; remove the cause or lower the "
            "number, and run this again."
        )
