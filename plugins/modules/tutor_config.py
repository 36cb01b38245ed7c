# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tutor_config
short_description: Change settings of a Tutor platform
description:
  - Sets, unsets, extends and shortens any number of settings in C(config.yml) and renders the environment.
  - The whole change is tried on a throw-away copy of the root first. A value that Tutor cannot hold, or that breaks a
    template, is refused while the real root is still untouched.
  - C(config.yml) is backed up before it changes, and put back and rendered again if rendering fails nevertheless.
  - Rendering alone reaches no running service. See the notes of M(tutorops.scale.tutor_local).
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  set:
    description:
      - Settings and their values, of any YAML type; they arrive with exactly this type.
      - Refused, because Tutor alters them, are texts that contain C({{), C({%) or C({#), that end with a line feed, or
        that contain carriage returns or other control characters; and the names that Tutor renames when it reads them.
    type: dict
    default: {}
  secrets:
    description:
      - Like O(set), for values that must not be shown in any output whatever the name of the setting.
      - They never travel in arguments of a process. When they are given, other users' permission to read
        C(config.yml) is taken away.
    type: dict
    default: {}
  unset:
    description:
      - Settings to remove from C(config.yml), so that Tutor's or a plugin's default applies again.
      - Refused for passwords and keys of which Tutor would draw a new one at every save.
    type: list
    elements: str
    default: []
  append:
    description:
      - For settings that are lists, one item or a list of items to add where they are missing.
      - A setting that is not in C(config.yml) starts from its default.
    type: dict
    default: {}
  remove:
    description:
      - For settings that are lists, one item or a list of items to take out wherever they occur.
    type: dict
    default: {}
  reread:
    description:
      - Whether running processes have to read what this changes.
      - With V(false), O(tutorops.scale.tutor_local#module:state=rolled) rolls nothing because of it. That is for
        changes which render the same meaning in other words.
    type: bool
    default: true
  backups:
    description:
      - How many backups C(config.yml.TIME.bak) to keep beside C(config.yml); V(0) makes none.
    type: int
    default: 5
extends_documentation_fragment:
  - tutorops.scale.tutor
  - tutorops.scale.attributes
attributes:
  check_mode:
    description: Renders in a throw-away copy and predicts settings and rendered files without touching the root.
  diff_mode:
    description: Shows the settings that differ, with secrets masked, and names the files rendered anew.
notes:
  - C(changed) compares the content of C(config.yml) and of the rendered files. It is also true when settings were right
    and only the rendering was behind, as after an edit by hand or a new plugin file.
  - Nothing is written when nothing differs; not even modification times change.
  - The list C(PLUGINS) is left to M(tutorops.scale.tutor_plugin).
seealso:
  - module: tutorops.scale.tutor_config_info
  - module: tutorops.scale.tutor_plugin
  - module: tutorops.scale.tutor_local
"""

EXAMPLES = r"""
- name: Send the platform to a MySQL server elsewhere
  tutorops.scale.tutor_config:
    root: /home/tutor/.local/share/tutor
    set:
      MYSQL_HOST: 10.0.0.10
      MYSQL_PORT: 3306
    secrets:
      MYSQL_ROOT_PASSWORD: "{{ vault_mysql_root_password }}"

- name: Mount one more folder and forget another one
  tutorops.scale.tutor_config:
    owner: tutor
    append:
      MOUNTS: /srv/openedx/themes
    remove:
      MOUNTS: [/srv/openedx/old-themes]

- name: Return to Tutor's default
  tutorops.scale.tutor_config:
    owner: tutor
    unset: [OPENEDX_LMS_UWSGI_WORKERS]
"""

RETURN = r"""
root:
  description: The Tutor root.
  type: str
  returned: success
  sample: /home/tutor/.local/share/tutor
before:
  description: Settings that differ, as they were, with secrets masked.
  type: dict
  returned: success
  sample: {"MYSQL_PORT": 3306}
after:
  description: Settings that differ, as they are now, with secrets masked.
  type: dict
  returned: success
  sample: {"MYSQL_PORT": 13306}
env_changed:
  description: Rendered files whose content changed, relative to C(env/).
  type: list
  elements: str
  returned: success
  sample: ["apps/openedx/config/lms.env.yml"]
backup:
  description: The backup that was made of C(config.yml), or null.
  type: str
  returned: success
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.roll import as_read
from ansible_collections.tutorops.scale.plugins.module_utils.tutor import TutorError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_config_file import ConfigChange
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_module import (
    TUTOR_OPTIONS,
    fail,
    hide_from_log,
    open_tutor,
    shown_outcome,
)
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_secrets import secret_values
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_stage import change_config


def _lists(given):
    return {name: items if isinstance(items, list) else [items] for name, items in given.items()}


def main():
    module = AnsibleModule(
        argument_spec=dict(
            TUTOR_OPTIONS,
            set={"type": "dict", "default": {}},
            secrets={"type": "dict", "default": {}, "no_log": True},
            unset={"type": "list", "elements": "str", "default": []},
            append={"type": "dict", "default": {}},
            remove={"type": "dict", "default": {}},
            reread={"type": "bool", "default": True},
            backups={"type": "int", "default": 5},
        ),
        supports_check_mode=True,
    )
    params = module.params
    for name in sorted(set(params["set"]) & set(params["secrets"])):
        module.fail_json(msg=f"{name} is given in both `set` and `secrets`; keep one of the two.")
    hide_from_log(module, secret_values(params["set"]))
    tutor = open_tutor(module)
    given = secret_values({"secret": params["secrets"]}) | {
        value for value in params["secrets"].values() if isinstance(value, str) and value
    }
    tutor.secret(*given)
    change = ConfigChange(
        set={**params["set"], **params["secrets"]},
        unset=tuple(params["unset"]),
        append=_lists(params["append"]),
        remove=_lists(params["remove"]),
    )
    try:
        with contextlib.nullcontext() if params["reread"] or module.check_mode else as_read(tutor):
            outcome = change_config(
                tutor,
                change,
                check_mode=module.check_mode,
                backups=params["backups"],
                hide=bool(params["secrets"]),
            )
    except (TutorError, OSError) as error:
        fail(module, tutor, error)
    module.exit_json(
        changed=outcome.changed, root=str(tutor.root), **shown_outcome(outcome, set(params["secrets"]), given)
    )


if __name__ == "__main__":
    main()
