# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tutor_plugin
short_description: Install, enable, disable and remove Tutor plugins
description:
  - Puts single-file plugins in place, and enables or disables plugins of any kind.
  - A plugin file is loaded and everything is rendered with it in a throw-away copy of the root first. One that cannot
    be loaded, or whose patches do not render, is refused before it can break the real root.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  name:
    description: Name of the plugin; for a single-file plugin, the name of its file.
    type: str
    required: true
  state:
    description:
      - V(installed) puts the file in place; the plugin is enabled or not as it was before.
      - V(enabled) enables the plugin too, and saves its passwords and keys, which C(tutor plugins enable) alone does
        not.
      - V(disabled) disables it and leaves its file.
      - V(absent) disables it and removes its file; a plugin that is a Python package is left to pip.
    type: str
    choices: [installed, enabled, disabled, absent]
    default: enabled
  src:
    description: File on the managed host to install as the plugin, with the suffix C(.py) or C(.yml).
    type: path
  content:
    description: Text to install as the plugin, see O(format).
    type: str
  format:
    description: What O(content) is, a Python module (plugin API v1) or YAML (plugin API v0).
    type: str
    choices: [py, yml]
    default: py
  keep_config:
    description:
      - When a plugin is disabled, keep the settings that Tutor would delete along with it, those that the plugin
        overrides, such as C(OPENEDX_AWS_ACCESS_KEY) of the plugin minio.
    type: bool
    default: false
  backups:
    description: How many backups C(config.yml.TIME.bak) to keep beside C(config.yml); V(0) makes none.
    type: int
    default: 5
extends_documentation_fragment:
  - tutorops.scale.tutor
  - tutorops.scale.attributes
attributes:
  check_mode:
    description: Does everything in a throw-away copy of the root and of the plugins.
  diff_mode:
    description: Shows the settings that differ, with secrets masked, and names the files rendered or installed anew.
notes:
  - While an enabled plugin is missing or broken, Tutor renders without it and, at the next C(plugins enable), forgets
    it. This module refuses to change anything then, except to disable just that plugin.
  - For a file of the controller use O(content) with the lookup C(file) or C(template).
seealso:
  - module: tutorops.scale.tutor_config
"""

EXAMPLES = r"""
- name: Enable a plugin that comes with Tutor
  tutorops.scale.tutor_plugin:
    owner: tutor
    name: notes

- name: Install and enable a plugin of one's own
  tutorops.scale.tutor_plugin:
    owner: tutor
    name: zz_hosts
    content: "{{ lookup('ansible.builtin.template', 'zz_hosts.py.j2') }}"

- name: Leave MinIO but keep the keys of the bucket
  tutorops.scale.tutor_plugin:
    owner: tutor
    name: minio
    state: disabled
    keep_config: true
"""

RETURN = r"""
root:
  description: The Tutor root.
  type: str
  returned: success
path:
  description: The file of a single-file plugin, or null.
  type: str
  returned: success
  sample: /home/tutor/.local/share/tutor-plugins/zz_hosts.py
enabled_plugins:
  description: Plugins enabled now, or in check mode then.
  type: list
  elements: str
  returned: success
plugins_changed:
  description: Plugin files that were added, altered or removed.
  type: list
  elements: str
  returned: success
before:
  description: Settings that differ, as they were, with secrets masked.
  type: dict
  returned: success
after:
  description: Settings that differ, as they are now, with secrets masked.
  type: dict
  returned: success
env_changed:
  description: Rendered files whose content changed, relative to C(env/).
  type: list
  elements: str
  returned: success
backup:
  description: The backup that was made of C(config.yml), or null.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.tutor import TutorError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_module import (
    TUTOR_OPTIONS,
    fail,
    open_tutor,
    shown_outcome,
)
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_plugin_file import (
    PluginFile,
    bring_to,
    installed_file,
    read_source,
)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            TUTOR_OPTIONS,
            name={"type": "str", "required": True},
            state={
                "type": "str",
                "choices": ["installed", "enabled", "disabled", "absent"],
                "default": "enabled",
            },
            src={"type": "path"},
            content={"type": "str"},
            format={"type": "str", "choices": ["py", "yml"], "default": "py"},
            keep_config={"type": "bool", "default": False, "no_log": False},
            backups={"type": "int", "default": 5},
        ),
        mutually_exclusive=[("src", "content")],
        supports_check_mode=True,
    )
    params = module.params
    tutor = open_tutor(module)
    try:
        file = None
        if params["src"]:
            file = read_source(params["name"], params["src"])
        elif params["content"] is not None:
            file = PluginFile(params["name"], params["format"], params["content"])
        outcome = bring_to(
            tutor,
            params["name"],
            params["state"],
            file,
            keep_config=params["keep_config"],
            check_mode=module.check_mode,
            backups=params["backups"],
        )
        place = installed_file(tutor, params["name"])
    except (TutorError, OSError) as error:
        fail(module, tutor, error)
    module.exit_json(
        changed=outcome.changed,
        root=str(tutor.root),
        path=str(place) if place else None,
        enabled_plugins=outcome.after.get("PLUGINS") or [],
        plugins_changed=outcome.plugins_changed,
        **shown_outcome(outcome, set(), set()),
    )


if __name__ == "__main__":
    main()
