# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules over `tutor k8s`: Tutor is real, kubectl keeps in a file what a real API answered once (tests/k8s)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.tutor_cli

FIXTURES = Path(__file__).parents[2] / "fixtures"
Run = Callable[..., dict[str, Any]]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

LMS = {"name": "lms", "replicas": 3, "disruption_budget": True}
SCALED = {
    "name": "lms",
    "autoscaling": {"min": 1, "max": 4, "cpu": 60},
    "requests": {"cpu": "500m", "memory": "2Gi"},
    "limits": {"memory": "3Gi"},
}


class Site:
    """A Tutor root and the captured namespace."""

    def __init__(self, lab: Any, path: Path) -> None:
        self.lab, self.path = lab, path

    def read(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return loaded

    def change(self, **values: Any) -> None:
        self.path.write_text(json.dumps({**self.read(), **values}), encoding="utf-8")

    def calls(self) -> list[str]:
        calls: list[str] = self.read()["calls"]
        self.change(calls=[])
        return calls

    def object(self, kind: str, name: str) -> dict[str, Any]:
        return next(one for one in self.read()["objects"] if (one["kind"], one["metadata"]["name"]) == (kind, name))

    def options(self, *deployments: dict[str, Any], **more: Any) -> dict[str, Any]:
        given = {"deployments": list(deployments), "files_shared": True, **more}
        options: dict[str, Any] = self.lab.options(**given)
        return options

    def tutor_applied(self, name: str, replicas: int) -> None:
        """Leave the trace that `tutor k8s start` leaves after the number was recorded; forgets the calls so far."""
        manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}}
        text = json.dumps({**manifest, "spec": {"replicas": replicas}})
        objects = self.read()["objects"]
        for one in objects:
            if (one["kind"], one["metadata"]["name"]) == ("Deployment", name):
                one["metadata"]["annotations"] = {LAST_APPLIED: text}
        self.change(objects=objects, calls=[])

    def last_applied(self, name: str) -> dict[str, Any]:
        """Give the spec that kubectl holds for the one applied last."""
        annotations = self.object("Deployment", name)["metadata"]["annotations"]
        spec: dict[str, Any] = json.loads(annotations[LAST_APPLIED])["spec"]
        return spec

    @property
    def plugin(self) -> Path:
        path: Path = self.lab.plugins / "tutorops_k8s.py"
        return path


def site_of(lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    program = tmp_path / "programs" / "kubectl"
    lines = (FIXTURES / "kubectl").read_text(encoding="utf-8").splitlines()
    program.write_text("\n".join([f"#!{sys.executable}", *lines[1:]]), encoding="utf-8")
    program.chmod(0o755)
    site = Site(lab, tmp_path / "kubectl.json")
    objects = json.loads((FIXTURES / "k8s" / "namespace.json").read_text(encoding="utf-8"))
    state = {"objects": objects, "nodes": [], "events": [], "owned": [], "metrics": True, "schedules": True}
    site.path.write_text(json.dumps({**state, "calls": []}), encoding="utf-8")
    monkeypatch.setenv("FAKE_KUBECTL", str(site.path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return site


@pytest.fixture
def site(minio_lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Each supported Tutor in turn, with files of learners in object storage."""
    return site_of(minio_lab, tmp_path, monkeypatch)


@pytest.fixture
def local_site(lab22: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The newest Tutor, with files of learners on local disks."""
    return site_of(lab22, tmp_path, monkeypatch)


def test_scaled_through_tutor_and_recorded(site: Site, run_module: Run) -> None:
    before = site.lab.snapshot()
    planned = run_module("tutor_k8s_scale", check=True, diff=True, **site.options(LMS, files_shared=False))
    assert planned["changed"] and planned["scaled"] == {"lms": {"before": 1, "after": 3}}
    assert "lms: 3" in planned["diff"]["after"] and "lms: 1" in planned["diff"]["before"]
    assert site.lab.snapshot() == before and site.calls() == []

    done = run_module("tutor_k8s_scale", **site.options(LMS, files_shared=False))
    assert done["changed"] and done["deployments"]["lms"]["recorded"] == 3
    selector = "--selector=app.kubernetes.io/component=tutorops-k8s"
    assert site.calls() == [
        f"apply --kustomize {site.lab.root}/env {selector}",
        "scale --namespace openedx --replicas=3 deployment/lms",
    ]
    assert "tutorops_k8s" in site.lab.config()["PLUGINS"]

    again = run_module("tutor_k8s_scale", **site.options(LMS, files_shared=False))
    assert again["changed"] is False and site.calls() == []


def test_drift_is_reported_and_undone(local_site: Site, run_module: Run) -> None:
    run_module("tutor_k8s_scale", **local_site.options(LMS))
    state = local_site.read()
    objects = [one for one in state["objects"] if one["kind"] != "PodDisruptionBudget"]
    next(one for one in objects if one["metadata"]["name"] == "lms")["spec"]["replicas"] = 7
    local_site.change(objects=objects)
    found = run_module("tutor_k8s_info", **local_site.options())
    assert [one["severity"] for one in found["findings"] if one["id"] == "k8s.drift"] == ["warning", "warning"]
    done = run_module("tutor_k8s_scale", **local_site.options(LMS))
    assert done["drift"] == [
        "lms: 3 replicas are recorded, 7 are set",
        "lms: its disruption budget is not as recorded",
    ]
    assert local_site.object("Deployment", "lms")["spec"]["replicas"] == 3 and local_site.object(
        "PodDisruptionBudget", "lms"
    )


@pytest.mark.parametrize("name", ["forum", "redis"])
def test_refused_before_anything_changes(local_site: Site, run_module: Run, name: str) -> None:
    before = local_site.lab.snapshot()
    answer = run_module("tutor_k8s_scale", **local_site.options(LMS, {"name": name, "replicas": 1}))
    assert answer["failed"] and answer["msg"].startswith("Nothing was changed. ") and name in answer["msg"]
    assert local_site.lab.snapshot() == before and local_site.calls() == []


def test_local_files_block_until_they_are_said_to_be_shared(local_site: Site, run_module: Run) -> None:
    answer = run_module("tutor_k8s_scale", **local_site.options(LMS, files_shared=False))
    assert answer["failed"] and "Files of learners lie on the local disk" in answer["msg"] and "minio" in answer["msg"]
    found = run_module("tutor_k8s_info", **local_site.options(LMS, files_shared=False))
    assert found["blocked"] and "k8s.files.local" in [one["id"] for one in found["findings"]]
    assert run_module("tutor_k8s_scale", **local_site.options(LMS))["changed"]


def test_an_autoscaler_takes_over_without_a_fall_to_one_pod(local_site: Site, run_module: Run) -> None:
    run_module("tutor_k8s_scale", **local_site.options(LMS))
    local_site.tutor_applied("lms", 3)
    done = run_module("tutor_k8s_scale", **local_site.options(SCALED))
    assert done["deployments"]["lms"]["autoscaler"] == "lms" and done["deployments"]["lms"]["replicas"] == 3
    assert [call.split()[0] for call in local_site.calls()] == ["apply", "delete", "patch", "apply"]
    assert local_site.last_applied("lms") == {}
    assert run_module("tutor_k8s_scale", **local_site.options(SCALED))["changed"] is False

    back = run_module("tutor_k8s_scale", **local_site.options({"name": "lms", "replicas": 2}))
    assert back["changed"] and local_site.calls()[0] == "delete --ignore-not-found hpa/lms"
    assert local_site.object("Deployment", "lms")["spec"]["replicas"] == 2


def test_an_autoscaler_of_somebody_else_is_left_alone(local_site: Site, run_module: Run) -> None:
    run_module("tutor_k8s_scale", **local_site.options(LMS))
    target = {"kind": "Deployment", "name": "lms"}
    stranger = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "load"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 9},
    }
    local_site.change(objects=[*local_site.read()["objects"], stranger], calls=[])
    done = run_module("tutor_k8s_scale", **local_site.options({**LMS, "replicas": 5}))
    assert done["left"] == {"lms": "load"} and "is left to HorizontalPodAutoscaler load" in str(done["warnings"])
    assert local_site.calls() == [] and local_site.object("Deployment", "lms")["spec"]["replicas"] == 3
    assert "replicas: " not in local_site.plugin.read_text(encoding="utf-8")  # the budget stays, the number does not
    assert run_module("tutor_k8s_scale", **local_site.options({**LMS, "replicas": 5}))["changed"] is False


def test_pods_that_do_not_come_up_fail_with_the_reason(local_site: Site, run_module: Run) -> None:
    reason = json.loads((FIXTURES / "k8s" / "unschedulable.json").read_text(encoding="utf-8"))
    local_site.change(schedules=False, owned=reason["owned"], events=reason["events"])
    answer = run_module("tutor_k8s_scale", **local_site.options(LMS, timeout=1))
    assert answer["failed"] and "lms has 1 of 3 replicas available after 1 s" in answer["msg"]
    assert "Insufficient memory" in answer["msg"] and "run this again" in answer["msg"]
    local_site.change(schedules=True, calls=[])
    deployment = local_site.object("Deployment", "lms")
    deployment["status"].update(replicas=3, updatedReplicas=3, availableReplicas=3)
    others = [one for one in local_site.read()["objects"] if one["metadata"]["name"] != "lms"]
    budget = local_site.object("PodDisruptionBudget", "lms")
    local_site.change(objects=[*others, deployment, budget])
    again = run_module("tutor_k8s_scale", **local_site.options(LMS))
    assert again["changed"] is False and again["deployments"]["lms"]["available"] == 3


def test_everything_is_released_with_an_empty_list(local_site: Site, run_module: Run) -> None:
    run_module("tutor_k8s_scale", **local_site.options(LMS))
    local_site.tutor_applied("lms", 3)
    done = run_module("tutor_k8s_scale", **local_site.options())
    assert done["changed"] and local_site.calls()[1:] == ["delete --ignore-not-found pdb/lms"]
    assert local_site.last_applied("lms") == {}
    assert not local_site.plugin.exists() and local_site.object("Deployment", "lms")["spec"]["replicas"] == 3
    assert run_module("tutor_k8s_scale", **local_site.options())["changed"] is False


def test_the_preflight_only_reads_and_bears_with_few_rights(local_site: Site, run_module: Run) -> None:
    before = local_site.lab.snapshot()
    local_site.change(nodes=None, metrics=False)
    bare = {"name": "lms", "autoscaling": {"min": 1, "max": 2, "cpu": 50}}
    found = run_module("tutor_k8s_info", **local_site.options(bare))
    severities = {one["id"]: one["severity"] for one in found["findings"]}
    assert found["nodes"] is None and severities["k8s.nodes.hidden"] == "info"
    assert severities["k8s.metrics.missing"] == "blocker" and severities["k8s.requests.missing"] == "blocker"
    assert found["changed"] is False and local_site.lab.snapshot() == before and local_site.calls() == []


def test_without_kubectl_it_says_what_to_install(lab22: Any, run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    where = "ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s.shutil.which"
    monkeypatch.setattr(where, lambda name, path=None: None)
    answer = run_module("tutor_k8s_info", **lab22.options())
    assert answer["failed"] and "kubectl was not found on the PATH; install it" in answer["msg"]
