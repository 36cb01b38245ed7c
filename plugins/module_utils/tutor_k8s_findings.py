# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of scaling on Kubernetes, and what of the cluster would not survive a failure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .stores.base import Finding
from .tutor_k8s import Cluster, Deployment
from .tutor_k8s_wanted import Wanted

#: Deployments of Tutor and its plugins that keep data in their pods or volumes. smtp keeps its queue there.
STATEFUL = ("caddy", "elasticsearch", "meilisearch", "minio", "mongodb", "mysql", "redis", "smtp")

#: Deployments whose pods read and write the files of learners.
FILES = ("cms", "cms-worker", "lms", "lms-worker")
_MEDIA = "/openedx/media"
_SETTINGS = ("lms/production.py", "cms/production.py")
_OBJECT_STORAGE = re.compile(r"""^(DEFAULT_FILE_STORAGE|STORAGES)\b.*["']storages\.backends\.""", re.MULTILINE)


def files_in_object_storage(env: Path) -> bool:
    """Say whether the rendered settings send files of learners to object storage, as the plugin minio does."""
    folder = env / "apps" / "openedx" / "settings"
    paths = [folder / name for name in _SETTINGS]
    return all(path.is_file() and _OBJECT_STORAGE.search(path.read_text(encoding="utf-8")) for path in paths)


def findings(cluster: Cluster, wanted: list[Wanted], files_shared: bool) -> list[Finding]:
    """Judge the cluster, and what is wanted of it."""
    return [
        *(finding for one in wanted for finding in _of_deployment(cluster, one, files_shared)),
        *_of_autoscaling(cluster, wanted),
        *_of_budgets(cluster, wanted),
        *_of_control_plane(cluster),
        *_of_nodes(cluster),
    ]


def _of_deployment(cluster: Cluster, wanted: Wanted, files_shared: bool) -> Iterator[Finding]:
    deployment = cluster.deployments.get(wanted.name)
    if deployment is None:
        known = ", ".join(sorted(cluster.deployments)) or "none at all"
        yield Finding(
            "k8s.deployment.unknown",
            "blocker",
            wanted.name,
            f"Namespace {cluster.namespace} has no deployment {wanted.name}; it has {known}.",
            "Correct the name, enable the plugin that brings it, or run `tutor k8s start` first.",
        )
        return
    why = stateful(cluster, deployment)
    if why:
        yield Finding(
            "k8s.deployment.stateful",
            "blocker",
            wanted.name,
            f"Deployment {wanted.name} {why}, and a second pod would corrupt or hide data.",
            "Leave it out; stores are scaled by moving them to clusters of their own (playbook offload).",
        )
    elif wanted.name not in cluster.rendered:
        yield Finding(
            "k8s.deployment.foreign",
            "blocker",
            wanted.name,
            f"Deployment {wanted.name} is not in Tutor's manifests, so Tutor cannot keep its number.",
            "Enable the plugin that brings it, or scale it with the tool that created it.",
        )
    if wanted.most > 1 and wanted.name in FILES and not files_shared and not _shared_volume(cluster, deployment):
        yield Finding(
            "k8s.files.local",
            "blocker",
            wanted.name,
            f"Files of learners lie on the local disk of each pod of {wanted.name}, so pods would not see the same.",
            "Enable the plugin minio or configure S3, copy the files, and apply it; if they are shared in another way, "
            "say so with files_shared.",
        )
    stranger = cluster.autoscaler_of(wanted.name, ours=False)
    if stranger:
        yield Finding(
            "k8s.deployment.autoscaled",
            "warning",
            wanted.name,
            f"HorizontalPodAutoscaler {stranger.name} sets the replicas of {wanted.name}, so they are left to it.",
            f"Change its bounds, or delete it (`kubectl delete hpa {stranger.name}`) to have the number set from here.",
        )


def stateful(cluster: Cluster, deployment: Deployment) -> str:
    """Tell why a deployment must not have several pods; empty when it may."""
    if deployment.name in STATEFUL:
        return "is a store of its own"
    alone = [name for name in deployment.claims.values() if "ReadWriteMany" not in cluster.claim_modes.get(name, [])]
    if alone:
        return f"keeps its data in volume {alone[0]}, which one node alone can mount"
    return "is re-created rather than rolled (strategy Recreate)" if deployment.recreated else ""


def _shared_volume(cluster: Cluster, deployment: Deployment) -> bool:
    return any(
        f"{_MEDIA}/".startswith(f"{path.rstrip('/')}/") and "ReadWriteMany" in cluster.claim_modes.get(claim, [])
        for path, claim in deployment.claims.items()
    )


def _of_autoscaling(cluster: Cluster, wanted: Iterable[Wanted]) -> Iterator[Finding]:
    scaled = [one for one in wanted if one.autoscaling]
    if scaled and cluster.metrics:
        yield Finding(
            "k8s.metrics.missing",
            "blocker",
            "metrics.k8s.io",
            f"The metrics API does not answer ({cluster.metrics}), so autoscalers could not see any load.",
            "Install metrics-server in the cluster.",
        )
    for one in scaled:
        deployment = cluster.deployments.get(one.name)
        if deployment is None or one.autoscaling is None:
            continue
        for container, resources in deployment.containers.items():
            own = one.resources() if container == one.container else {}
            requests = {**resources.get("requests", {}), **own.get("requests", {})}
            limits = {**resources.get("limits", {}), **own.get("limits", {})}
            for target in one.autoscaling.targets():
                if target not in requests and target not in limits:
                    yield Finding(
                        "k8s.requests.missing",
                        "blocker",
                        one.name,
                        f"Container {container} of {one.name} requests no {target}, so a percentage means nothing.",
                        f"Give `requests: {{{target}: ...}}` to {one.name}.",
                    )
            if "memory" not in limits:
                yield Finding(
                    "k8s.limits.missing",
                    "warning",
                    one.name,
                    f"Container {container} of {one.name} has no memory limit, so one pod can starve a node's others.",
                    f"Give `limits: {{memory: ...}}` to {one.name}.",
                )


def _of_budgets(cluster: Cluster, wanted: Iterable[Wanted]) -> Iterator[Finding]:
    asked = {one.name: one for one in wanted}
    for name, deployment in sorted(cluster.deployments.items()):
        one = asked.get(name)
        several = max(deployment.replicas, one.most if one else 1) > 1
        kept = any(budget.protects(deployment) for budget in cluster.budgets) or (one and one.disruption_budget)
        if several and not kept:
            yield Finding(
                "k8s.budget.missing",
                "warning",
                name,
                f"No PodDisruptionBudget protects {name}, so draining nodes can take all of its pods at once.",
                f"Set `disruption_budget: true` for {name}.",
            )


def _of_control_plane(cluster: Cluster) -> Iterator[Finding]:
    if cluster.nodes is None:
        yield Finding(
            "k8s.nodes.hidden",
            "info",
            "nodes",
            "The nodes may not be read, so nothing is known about their number and zones.",
            "Allow this user to list nodes, or ask who runs the cluster.",
        )
        return
    masters = [node for node in cluster.nodes if node.control_plane]
    if not masters:
        yield Finding(
            "k8s.control_plane.hidden",
            "info",
            "control plane",
            "No node shows the control plane, as is usual where a provider runs it.",
            "Look up with the provider whether it runs in several zones.",
        )
    elif len(masters) < 3:
        yield Finding(
            "k8s.control_plane.few",
            "warning",
            "control plane",
            f"The control plane has {len(masters)} of at least 3 nodes; without it nothing is scaled or replaced.",
            "Add control-plane nodes.",
        )
    elif _one_zone(zones := [node.zone for node in masters]):
        yield Finding(
            "k8s.control_plane.zone",
            "warning",
            "control plane",
            f"All {len(masters)} nodes of the control plane are in zone {zones[0]}.",
            "Spread them over zones.",
        )
    if cluster.etcd_members and (cluster.etcd_members < 3 or cluster.etcd_members % 2 == 0):
        yield Finding(
            "k8s.etcd.members",
            "warning",
            "etcd",
            f"etcd has {cluster.etcd_members} members; an odd number of at least 3 keeps a majority when one is lost.",
            "Change their number to 3 or 5.",
        )


def _of_nodes(cluster: Cluster) -> Iterator[Finding]:
    if cluster.nodes is None:
        return
    usable = [node for node in cluster.nodes if node.usable]
    if len(usable) < 2:
        yield Finding(
            "k8s.nodes.few",
            "warning",
            "nodes",
            f"{len(usable)} node can take pods, so its loss takes the platform down whatever the number of replicas.",
            "Add nodes.",
        )
        return
    zones = [node.zone for node in usable]
    if not any(zones):
        yield Finding(
            "k8s.nodes.zones_unknown",
            "info",
            "nodes",
            "The nodes have no label topology.kubernetes.io/zone, so it is not known whether they fail together.",
            "Label them with the zone, room or host that they depend on.",
        )
    elif _one_zone(zones):
        yield Finding(
            "k8s.nodes.zone",
            "warning",
            "nodes",
            f"All {len(usable)} nodes that can take pods are in zone {zones[0]}.",
            "Add nodes in other zones.",
        )


def _one_zone(zones: list[str]) -> bool:
    return bool(zones[0]) and len(set(zones)) == 1
