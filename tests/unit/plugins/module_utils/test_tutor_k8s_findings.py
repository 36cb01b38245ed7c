# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found of a cluster and what stands in the way; objects were captured from a real API (tests/k8s)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s import Cluster, Deployment, Node, Owned
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s_findings import (
    files_in_object_storage,
    findings,
)
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s_wanted import Wanted, read_wanted

CAPTURED = Path(__file__).parents[2] / "fixtures" / "k8s"


def platform(**changes: Any) -> Cluster:
    """Give the captured platform, on three nodes in three zones, with metrics."""
    items = json.loads((CAPTURED / "namespace.json").read_text(encoding="utf-8"))
    deployments = {one["metadata"]["name"]: Deployment.read(one) for one in items if one["kind"] == "Deployment"}
    claims = {one["metadata"]["name"]: one for one in items if one["kind"] == "PersistentVolumeClaim"}
    cluster = Cluster(
        namespace="openedx",
        deployments=deployments,
        rendered=frozenset(deployments),
        claim_modes={name: one["spec"]["accessModes"] for name, one in claims.items()},
        nodes=nodes("abc") + nodes("abc", control_plane=True),
        etcd_members=3,
    )
    return replace(cluster, **changes)


def nodes(zones: str, control_plane: bool = False) -> list[Node]:
    return [Node(f"n{zone}", control_plane, not control_plane, zone.strip()) for zone in zones]


def ids(cluster: Cluster, *wanted: dict[str, Any], shared: bool = True) -> dict[str, str]:
    asked: list[Wanted] = read_wanted(wanted)
    return {one.id: one.severity for one in findings(cluster, asked, shared)}


def test_a_sound_platform_has_no_findings() -> None:
    assert ids(platform()) == {}
    assert ids(platform(), {"name": "lms", "replicas": 4, "disruption_budget": True}) == {}


@pytest.mark.parametrize("name", ["caddy", "redis", "mysql"])
def test_what_keeps_data_is_refused(name: str) -> None:
    assert ids(platform(), {"name": name, "replicas": 1})["k8s.deployment.stateful"] == "blocker"


def test_a_volume_of_one_node_is_data_whatever_the_name_and_a_shared_one_is_not() -> None:
    lms = platform().deployments["lms"]
    mounting = {"lms": replace(lms, claims={"/openedx/media": "media"})}
    asked = {"name": "lms", "replicas": 2, "disruption_budget": True}
    once = platform(deployments=mounting, claim_modes={"media": ["ReadWriteOnce"]})
    assert ids(once, asked, shared=False) == {"k8s.deployment.stateful": "blocker", "k8s.files.local": "blocker"}
    many = platform(deployments=mounting, claim_modes={"media": ["ReadWriteMany"]})
    assert ids(many, asked, shared=False) == {}
    elsewhere = {"lms": replace(lms, claims={"/openedx/media-archive": "media"})}
    other = platform(deployments=elsewhere, claim_modes={"media": ["ReadWriteMany"]})
    assert ids(other, asked, shared=False) == {"k8s.files.local": "blocker"}
    recreated = platform(deployments={"lms": replace(lms, recreated=True)})
    assert ids(recreated, asked) == {"k8s.deployment.stateful": "blocker"}


def test_unknown_and_foreign_names_are_refused() -> None:
    assert ids(platform(), {"name": "forum", "replicas": 2}) == {"k8s.deployment.unknown": "blocker"}
    found = ids(platform(rendered=frozenset()), {"name": "lms", "replicas": 1})
    assert found == {"k8s.deployment.foreign": "blocker"}


def test_local_files_block_only_a_second_replica_of_what_uses_them() -> None:
    assert ids(platform(), {"name": "lms", "replicas": 1}, shared=False) == {}
    for name in ("lms", "cms", "lms-worker", "cms-worker"):
        asked = {"name": name, "replicas": 2, "disruption_budget": True}
        assert ids(platform(), asked, shared=False) == {"k8s.files.local": "blocker"}


def test_an_autoscaler_needs_metrics_requests_and_better_limits() -> None:
    asked = {"name": "lms", "autoscaling": {"min": 1, "max": 3, "cpu": 60}, "disruption_budget": True}
    found = ids(platform(metrics="it is not installed"), asked)
    assert found == {
        "k8s.metrics.missing": "blocker",
        "k8s.requests.missing": "blocker",
        "k8s.limits.missing": "warning",
    }
    # Tutor's manifest requests memory, so a target for memory alone is no problem.
    memory = {**asked, "autoscaling": {"min": 1, "max": 3, "memory": 80}}
    assert ids(platform(), memory) == {"k8s.limits.missing": "warning"}


def test_an_autoscaler_of_somebody_else_is_reported() -> None:
    target = {"kind": "Deployment", "name": "lms"}
    stranger = platform(autoscalers=[Owned("load", ours=False, spec={"scaleTargetRef": target})])
    assert ids(stranger, {"name": "lms", "replicas": 1}) == {"k8s.deployment.autoscaled": "warning"}
    assert ids(stranger, {"name": "cms", "replicas": 1}) == {}
    own = platform(autoscalers=[Owned("lms", ours=True, spec={"scaleTargetRef": target})])
    assert ids(own, {"name": "lms", "replicas": 1}) == {}


def test_several_pods_want_a_budget() -> None:
    lms = replace(platform().deployments["lms"], replicas=2)
    assert ids(platform(deployments={"lms": lms})) == {"k8s.budget.missing": "warning"}
    spec = {"selector": {"matchLabels": {"app.kubernetes.io/name": "lms"}}}
    assert ids(platform(deployments={"lms": lms}, budgets=[Owned("any", ours=False, spec=spec)])) == {}
    other = {"selector": {"matchLabels": {"app.kubernetes.io/name": "cms"}}}
    assert ids(platform(deployments={"lms": lms}, budgets=[Owned("any", ours=False, spec=other)])) != {}


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"nodes": None}, {"k8s.nodes.hidden": "info"}),
        ({"nodes": nodes("abc")}, {"k8s.control_plane.hidden": "info"}),
        ({"nodes": nodes("abc") + nodes("a", True)}, {"k8s.control_plane.few": "warning"}),
        ({"nodes": nodes("abc") + nodes("aaa", True)}, {"k8s.control_plane.zone": "warning"}),
        ({"nodes": nodes("a") + nodes("abc", True)}, {"k8s.nodes.few": "warning"}),
        ({"nodes": nodes("aa") + nodes("abc", True)}, {"k8s.nodes.zone": "warning"}),
        ({"nodes": nodes("  ") + nodes("abc", True)}, {"k8s.nodes.zones_unknown": "info"}),
        ({"etcd_members": 1}, {"k8s.etcd.members": "warning"}),
        ({"etcd_members": 4}, {"k8s.etcd.members": "warning"}),
        ({"etcd_members": 5}, {}),
        ({"etcd_members": None}, {}),
        ({"etcd_members": 0}, {}),  # a provider's, or outside of the cluster
    ],
)
def test_what_of_the_cluster_would_not_survive(changes: dict[str, Any], expected: dict[str, str]) -> None:
    assert ids(platform(**changes)) == expected


@pytest.mark.tutor_cli
def test_object_storage_is_recognised_in_what_tutor_renders(minio_lab: Any) -> None:
    env = minio_lab.root / "env"
    assert files_in_object_storage(env)
    settings = env / "apps" / "openedx" / "settings" / "cms" / "production.py"
    lines = settings.read_text(encoding="utf-8").splitlines()
    settings.write_text("\n".join(f"# {line}" if "storages.backends" in line else line for line in lines), "utf-8")
    assert not files_in_object_storage(env)


@pytest.mark.tutor_cli
def test_local_files_are_recognised_too(lab: Any) -> None:
    assert not files_in_object_storage(lab.root / "env")
