# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin tutorops_k8s in the real Tutor 18, 20 and 22: what its manifests hold."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import Any

import pytest
import yaml
from ansible_collections.tutorops.scale.plugins.module_utils.tutor import TutorError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s_plugin import PLUGIN, plugin_file, read_record
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s_wanted import covers, read_wanted
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_plugin_file import bring_to

WANTED = [
    {"name": "lms", "replicas": 3, "disruption_budget": True},
    {
        "name": "cms",
        "autoscaling": {"min": 2, "max": 5, "cpu": 70, "memory": 80},
        "requests": {"cpu": "500m", "memory": "2Gi"},
        "disruption_budget": True,
    },
    {"name": "notes", "replicas": 2},
]


def wanted() -> list[Any]:
    return [replace(one, container=one.name if one.resources() else "") for one in read_wanted(WANTED)]


def keep(lab: Any) -> None:
    bring_to(lab.tutor(), PLUGIN, "enabled", plugin_file(wanted()), keep_config=False, check_mode=False, backups=1)


def patched(lab: Any) -> dict[str, dict[str, Any]]:
    """Give the patches in kustomization.yml, whichever way this Tutor has them."""
    loaded = yaml.safe_load((lab.root / "env" / "kustomization.yml").read_text(encoding="utf-8"))
    assert ("patches" in loaded) == (lab.major >= 21) and ("patchesStrategicMerge" in loaded) == (lab.major < 21)
    texts = [entry["patch"] for entry in loaded.get("patches", [])] + loaded.get("patchesStrategicMerge", [])
    return {patch["metadata"]["name"]: patch["spec"] for patch in map(yaml.safe_load, texts)}


def beside(lab: Any) -> dict[tuple[str, str], dict[str, Any]]:
    text = (lab.root / "env" / "k8s" / "deployments.yml").read_text(encoding="utf-8")
    documents = [document for document in yaml.safe_load_all(text) if document]
    return {(document["kind"], document["metadata"]["name"]): document["spec"] for document in documents}


@pytest.mark.tutor_cli
def test_each_tutor_renders_the_patches_where_it_reads_them(lab: Any) -> None:
    keep(lab)
    container = {"name": "cms", "resources": {"requests": {"cpu": "500m", "memory": "2Gi"}}}
    assert patched(lab) == {
        "lms": {"replicas": 3},
        # An autoscaler drives it, so no number is named.
        "cms": {"template": {"spec": {"containers": [container]}}},
    }
    found = beside(lab)
    assert found["HorizontalPodAutoscaler", "cms"]["maxReplicas"] == 5
    assert found["PodDisruptionBudget", "lms"]["maxUnavailable"] == 1
    assert ("HorizontalPodAutoscaler", "lms") not in found


@pytest.mark.tutor_cli
def test_a_deployment_is_patched_only_while_its_plugin_renders_it(lab: Any) -> None:
    keep(lab)
    assert "notes" not in patched(lab)
    assert lab.cli("plugins", "enable", "notes").returncode == 0
    assert lab.cli("config", "save").returncode == 0
    assert patched(lab)["notes"] == {"replicas": 2}
    assert lab.cli("plugins", "disable", "notes").returncode == 0
    assert "notes" not in patched(lab)


@pytest.mark.tutor_cli
@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl builds the manifests")
def test_kustomize_builds_what_was_asked_for(lab: Any) -> None:
    keep(lab)
    command = ["kubectl", "kustomize", str(lab.root / "env")]
    built = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(built)}
    assert found["Deployment", "lms"]["spec"]["replicas"] == 3
    assert "replicas" not in found["Deployment", "cms"]["spec"]
    container = found["Deployment", "cms"]["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {"requests": {"cpu": "500m", "memory": "2Gi"}}
    selected = found["PodDisruptionBudget", "lms"]["spec"]["selector"]["matchLabels"]
    pods = found["Deployment", "lms"]["spec"]["template"]["metadata"]["labels"]
    assert selected.items() <= pods.items() and selected["app.kubernetes.io/name"] == "lms"


def test_the_record_is_read_back_as_it_was_written() -> None:
    assert read_record(plugin_file(wanted()).content) == wanted()
    assert read_record("") == []


@pytest.mark.parametrize("source", ["RECORD = [{'replicas': 3}]", "RECORD = open('x')", "RECORD = ["])
def test_a_record_edited_by_hand_is_an_error_with_the_cure(source: str) -> None:
    with pytest.raises(TutorError, match="edited by hand"):
        read_record(source)


@pytest.mark.parametrize(
    "item, words",
    [
        ({"name": "lms", "replicas": 0}, "cannot have 0 replicas"),
        ({"name": "lms", "autoscaling": {"min": 3, "max": 2, "cpu": 50}}, "from 3 to 2"),
        ({"name": "lms", "autoscaling": {"min": 1, "max": 2}}, "needs a target"),
        ({"name": "lms", "replicas": 1, "requests": {"cpu": "half"}}, "'half' of cpu"),
        ({"name": "lms", "replicas": 1, "limits": {"disk": "1Gi"}}, "of disk"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(item: dict[str, Any], words: str) -> None:
    with pytest.raises(TutorError, match=words):
        read_wanted([item])


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(TutorError, match="lms is named twice"):
        read_wanted([{"name": "lms", "replicas": 1}, {"name": "lms", "replicas": 2}])


@pytest.mark.parametrize(
    "live, asked, same",
    [
        ({"cpu": "1"}, {"cpu": "1000m"}, True),
        ({"memory": "2Gi"}, {"memory": "2048Mi"}, True),
        ({"memory": "2Gi"}, {"memory": "2G"}, False),
        ({"a": 1, "default": 2}, {"a": 1}, True),
        ({}, {"a": 1}, False),
        ([{"a": 1, "b": 2}], [{"a": 1}], True),
        ([1, 2], [1], False),
    ],
)
def test_what_the_api_spells_its_own_way_is_the_same(live: Any, asked: Any, same: bool) -> None:
    assert covers(live, asked) is same
