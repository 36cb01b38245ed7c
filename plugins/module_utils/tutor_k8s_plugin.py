# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Tutor plugin `tutorops_k8s`, which makes numbers of replicas last: Tutor forgets those of `tutor k8s scale`.

The file is plain data and one short function, so that an operator can read it, and it works without this collection.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pprint import pformat

from .tutor_config_file import dump
from .tutor_errors import TutorError
from .tutor_k8s_wanted import Wanted
from .tutor_plugin_file import PluginFile

PLUGIN = "tutorops_k8s"

_TEMPLATE = '''\
"""Replicas, autoscalers and disruption budgets of this platform on Kubernetes.

Written by the module tutor_k8s_scale of the Ansible collection tutorops.scale: change the inventory, not this file.
"""
from __future__ import annotations

import re

from tutor import hooks
from tutor.__about__ import __version__

# What was asked for.
RECORD = @RECORD@

# Patches of Tutor's own deployments, by their names.
PATCHES = @PATCHES@

# Autoscalers and disruption budgets, by the deployments that they are for.
RESOURCES = @RESOURCES@

# Deployments that Tutor itself always has; all others come and go with their plugins.
CORE = ("cms", "cms-worker", "lms", "lms-worker")


@hooks.Filters.ENV_PATCHES.add(priority=hooks.priorities.LOW)
def _patch(patches: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Patch what is rendered and nothing else: kustomize refuses a patch that has no target."""
    deployments = "\\n".join(content for name, content in patches if name == "k8s-deployments")

    def rendered(name: str) -> bool:
        return name in CORE or bool(re.search(rf"^\\s*name:\\s*{re.escape(name)}\\s*$", deployments, re.MULTILINE))

    if int(__version__.split(".")[0]) >= 21:
        target, head = "kustomization-patches", "- patch: |-\\n    "
    else:
        target, head = "kustomization-patches-strategic-merge", "- |-\\n    "
    added = [
        (target, head + content.rstrip().replace("\\n", "\\n    "))
        for name, content in PATCHES.items()
        if rendered(name)
    ]
    added += [("k8s-deployments", content) for name, content in RESOURCES.items() if rendered(name)]
    return patches + added
'''


def plugin_file(wanted: Iterable[Wanted]) -> PluginFile:
    """Write the plugin for these deployments."""
    record = list(wanted)
    patches = {one.name: dump(one.patch()) for one in record if one.patch()}
    resources = {one.name: resources_of(one) for one in record}
    parts = {
        "@RECORD@": _literal([one.as_dict() for one in record]),
        "@PATCHES@": _texts(patches),
        "@RESOURCES@": _texts({name: text for name, text in resources.items() if text}),
    }
    content = _TEMPLATE
    for mark, text in parts.items():
        content = content.replace(mark, text)
    return PluginFile(PLUGIN, "py", content)


def resources_of(wanted: Wanted) -> str:
    """Give the manifests that a deployment needs beside its own."""
    manifests = (wanted.autoscaler(), wanted.budget())
    return "".join(f"---\n{dump(manifest)}" for manifest in manifests if manifest)


def _literal(value: object) -> str:
    return pformat(value, sort_dicts=False, width=100)


def _texts(texts: dict[str, str]) -> str:
    """Write texts of several lines so that they can be read and compared."""
    if not texts:
        return "{}"
    return "{\n" + "".join(f'    "{name}": """\\\n{text}""",\n' for name, text in texts.items()) + "}"


def read_record(source: str) -> list[Wanted]:
    """Read what a plugin file of ours records; it is parsed, never run."""
    try:
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "RECORD":
                return [Wanted.read(item) for item in ast.literal_eval(node.value)]
    except (SyntaxError, ValueError, TypeError, KeyError) as error:
        raise TutorError(
            f"The plugin {PLUGIN} was edited by hand and cannot be read any more ({type(error).__name__}); "
            f"remove its file with `rm $(tutor plugins printroot)/{PLUGIN}.py` and run this again."
        ) from error
    return []
