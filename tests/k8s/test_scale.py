# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API holds after scaling, and after Tutor's next `k8s start`."""

from __future__ import annotations

from typing import Any

from cluster import Cluster, await_true
from metrics import Metrics

LMS = {"name": "lms", "replicas": 3, "disruption_budget": True}
WORKER = {"name": "lms-worker", "replicas": 2}
SCALED_LMS = {
    "name": "lms",
    "autoscaling": {"min": 2, "max": 4, "cpu": 50},
    "requests": {"cpu": "1000m", "memory": "2Gi"},
    "limits": {"memory": "3Gi"},
    "disruption_budget": True,
}


def strange_autoscaler(name: str, deployment: str, count: int) -> dict[str, Any]:
    """Give an autoscaler that somebody else put there."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {"scaleTargetRef": target, "minReplicas": count, "maxReplicas": count},
    }


def test_numbers_are_there_and_stay_after_tutors_next_start(each_platform: Any) -> None:
    site = each_platform
    planned = site.scale(LMS, WORKER, check=True)
    assert planned["changed"] and planned["scaled"] == {
        "lms": {"before": 1, "after": 3},
        "lms-worker": {"before": 1, "after": 2},
    }
    assert "lms: 3" in planned["diff"]["after"] and "lms: 1" in planned["diff"]["before"]
    assert site.replicas("lms") == 1 and not (site.plugins / "tutorops_k8s.py").exists()

    done = site.scale(LMS, WORKER)
    assert done["changed"] and done["deployments"]["lms"] == {
        "replicas": 3,
        "available": 3,
        "recorded": 3,
        "autoscaler": None,
    }
    assert site.replicas("lms") == 3 and site.replicas("lms-worker") == 2
    budget = site.get("poddisruptionbudget", "lms")
    await_true(
        lambda: site.get("poddisruptionbudget", "lms")["status"].get("disruptionsAllowed") == 1,
        "the budget counts the pods of lms",
    )
    assert budget["spec"]["maxUnavailable"] == 1

    assert site.scale(LMS, WORKER)["changed"] is False
    assert site.scale(LMS, WORKER, check=True)["changed"] is False

    site.tutor("k8s", "start")
    assert site.replicas("lms") == 3 and site.replicas("lms-worker") == 2 and site.replicas("cms") == 1
    # Even what was changed by hand meanwhile comes back at the next start.
    site.kubectl("scale", "deployment/lms", "--replicas=1")
    site.tutor("k8s", "start")
    assert site.replicas("lms") == 3

    down = site.scale({**LMS, "replicas": 2}, WORKER)
    assert down["scaled"] == {"lms": {"before": 3, "after": 2}}
    site.tutor("k8s", "start")
    assert site.replicas("lms") == 2


def test_drift_is_reported_and_undone(platform: Any) -> None:
    platform.scale(LMS)
    platform.kubectl("scale", "deployment/lms", "--replicas=5")
    platform.kubectl("delete", "pdb", "lms")
    assert platform.finding_ids(platform.info())["k8s.drift"] == "warning"
    done = platform.scale(LMS)
    assert done["changed"] and done["drift"] == [
        "lms: 3 replicas are recorded, 5 are set",
        "lms: its disruption budget is not as recorded",
    ]
    assert platform.replicas("lms") == 3 and platform.get("poddisruptionbudget", "lms")
    assert "k8s.drift" not in platform.finding_ids(platform.info())


def test_unknown_and_stateful_names_are_refused_before_anything_changes(platform: Any) -> None:
    for name in ("forum", "mysql", "caddy"):
        answer = platform.scale(LMS, {"name": name, "replicas": 2})
        assert answer["failed"] and "Nothing was changed." in answer["msg"] and name in answer["msg"]
        assert platform.replicas("lms") == 1 and not (platform.plugins / "tutorops_k8s.py").exists()
    # A deployment of nobody's list that keeps data is recognised by its volume.
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "shop"}}
    platform.apply({**claim, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})
    pod = {
        "containers": [{"name": "shop", "image": "shop", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "shop"}}],
    }
    labels = {"app.kubernetes.io/name": "shop"}
    platform.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "shop"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }
    )
    answer = platform.scale({"name": "shop", "replicas": 2})
    assert "keeps its data in volume shop" in answer["msg"] and platform.replicas("shop") == 1


def test_files_on_local_disks_block_a_second_replica(local_files_platform: Any) -> None:
    site = local_files_platform
    answer = site.scale(LMS)
    assert answer["failed"] and "Files of learners lie on the local disk" in answer["msg"]
    assert site.replicas("lms") == 1
    assert site.finding_ids(site.info(LMS))["k8s.files.local"] == "blocker"
    assert site.scale({"name": "mfe", "replicas": 2})["failed"]  # not enabled here, so it does not exist
    assert site.scale(LMS, files_shared=True)["changed"] and site.replicas("lms") == 3


def test_a_pod_that_fits_nowhere_is_told_within_the_timeout(platform: Any) -> None:
    wanted = {"name": "lms", "replicas": 2, "requests": {"memory": "64Gi"}}
    answer = platform.scale(wanted, timeout=8)
    assert answer["failed"]
    assert "lms has " in answer["msg"] and "replicas available after 8 s" in answer["msg"]
    assert "Unschedulable" in answer["msg"] and "Insufficient memory" in answer["msg"]
    # The cure: a node that is big enough; the same run then goes on.
    platform.cluster.add_node("big", memory="256Gi", zone="c")
    try:
        assert platform.scale(wanted)["deployments"]["lms"]["available"] == 2
    finally:
        platform.kubectl("delete", "node", "big")


def test_an_autoscaler_of_somebody_else_is_left_alone(platform: Any) -> None:
    platform.scale(LMS, WORKER)
    platform.tutor("k8s", "start")
    platform.apply(strange_autoscaler("load", "lms", 5))
    platform.await_available("lms", 5)

    answer = platform.scale(LMS, WORKER)
    assert answer["left"] == {"lms": "load"} and answer["deployments"]["lms"]["autoscaler"] == "load"
    assert answer["deployments"]["lms"]["recorded"] is None and platform.replicas("lms") == 5
    assert platform.scale(LMS, WORKER)["changed"] is False
    # Tutor neither takes the deployment back to 3, as recorded before, nor to 1, as when a number disappears.
    platform.tutor("k8s", "start")
    assert platform.replicas("lms") == 5 and platform.replicas("lms-worker") == 2

    platform.kubectl("delete", "hpa", "load")
    assert platform.scale(LMS, WORKER)["scaled"] == {"lms": {"before": 5, "after": 3}}


def test_autoscaling_wants_metrics_and_requests(platform: Any) -> None:
    bare = {"name": "lms", "autoscaling": {"min": 2, "max": 4, "cpu": 50}}
    found = platform.finding_ids(platform.info(bare))
    assert found["k8s.metrics.missing"] == "blocker" and found["k8s.requests.missing"] == "blocker"
    assert found["k8s.limits.missing"] == "warning"
    assert platform.scale(SCALED_LMS)["failed"] and platform.replicas("lms") == 1


def test_autoscaling_follows_the_load_and_stays(platform: Any, metrics: Metrics) -> None:
    platform.scale(LMS)
    platform.tutor("k8s", "start")
    metrics.cpu = "500m"
    done = platform.scale(SCALED_LMS)
    assert done["changed"] and done["deployments"]["lms"]["autoscaler"] == "lms"
    container = platform.get("deployment", "lms")["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "3Gi"}}
    assert platform.scale(SCALED_LMS)["changed"] is False

    metrics.cpu = "900m"
    platform.await_available("lms", 4)
    platform.tutor("k8s", "start")
    assert platform.replicas("lms") == 4
    assert platform.scale(SCALED_LMS)["changed"] is False

    back = platform.scale({"name": "lms", "replicas": 2})
    assert back["changed"] and platform.replicas("lms") == 2
    assert platform.kubectl("get", "hpa,pdb", "--output=name") == ""
    platform.tutor("k8s", "start")
    assert platform.replicas("lms") == 2


def test_what_is_no_longer_named_is_released_with_the_number_that_it_has(platform: Any) -> None:
    platform.scale(LMS, WORKER)
    platform.tutor("k8s", "start")
    done = platform.scale()
    assert done["changed"] and platform.replicas("lms") == 3
    assert not (platform.plugins / "tutorops_k8s.py").exists()
    assert platform.kubectl("get", "pdb", "--output=name") == ""
    platform.tutor("k8s", "start")
    assert platform.replicas("lms") == 3 and platform.replicas("lms-worker") == 2
    assert platform.scale()["changed"] is False


def test_a_disabled_plugin_does_not_break_tutors_next_start(platform: Any) -> None:
    platform.tutor("plugins", "enable", "notes")
    platform.tutor("config", "save")
    platform.tutor("k8s", "start")
    platform.scale(LMS, {"name": "notes", "replicas": 2, "disruption_budget": True})
    assert platform.replicas("notes") == 2
    # kustomize refuses a patch without a target, and with it everything that Tutor wants to apply.
    platform.tutor("plugins", "disable", "notes")
    platform.tutor("k8s", "start")
    assert platform.replicas("lms") == 3


def test_the_preflight_judges_nodes_zones_and_the_control_plane(platform: Any, cluster: Cluster) -> None:
    found = platform.finding_ids(platform.info())
    assert found["k8s.control_plane.hidden"] == "info" and "k8s.nodes.zone" not in found
    cluster.kubectl("label", "node", "n2", "topology.kubernetes.io/zone=a", "--overwrite")
    cluster.add_node("m1", zone="a", control_plane=True)
    try:
        found = platform.finding_ids(platform.info(LMS))
        assert found["k8s.control_plane.few"] == "warning" and found["k8s.nodes.zone"] == "warning"
    finally:
        cluster.kubectl("label", "node", "n2", "topology.kubernetes.io/zone=b", "--overwrite")
        cluster.kubectl("delete", "node", "m1")


def test_the_playbook_scales_and_refuses(platform: Any) -> None:
    rehearsed = platform.playbook("--check", "--diff", tutor_k8s_deployments=[LMS])
    assert rehearsed.returncode == 0, rehearsed.stdout
    assert platform.replicas("lms") == 1
    done = platform.playbook(tutor_k8s_deployments=[LMS])
    assert done.returncode == 0 and "changed=1" in done.stdout, done.stdout
    assert platform.replicas("lms") == 3
    again = platform.playbook(tutor_k8s_deployments=[LMS])
    assert again.returncode == 0 and "changed=0" in again.stdout, again.stdout
    refused = platform.playbook(tutor_k8s_deployments=[LMS, {"name": "nobody", "replicas": 2}])
    assert refused.returncode != 0 and "no deployment nobody" in refused.stdout
