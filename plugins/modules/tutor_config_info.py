# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tutor_config_info
short_description: Read settings of a Tutor platform
description:
  - Gives values in force, with their types, the version of Tutor, its paths and its plugins. Changes nothing.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  keys:
    description:
      - Settings whose values in force are wanted, whether set by the user or left at Tutor's or a plugin's default.
      - An unknown setting is an error, as it is to Tutor; see O(missing_ok).
      - Without it, the settings saved in C(config.yml) are given.
    type: list
    elements: str
  missing_ok:
    description:
      - Leave unknown settings out of RV(settings) instead of failing, for settings that only some releases or plugins
        have.
    type: bool
    default: false
  show_secrets:
    description:
      - Give the values of secret settings too. Put C(no_log) on such a task, because nothing is masked then.
    type: bool
    default: false
extends_documentation_fragment:
  - tutorops.scale.tutor
  - tutorops.scale.attributes.reads
seealso:
  - module: tutorops.scale.tutor_config
"""

EXAMPLES = r"""
- name: Ask where MySQL is, and whether Tutor runs it
  tutorops.scale.tutor_config_info:
    owner: tutor
    keys: [MYSQL_HOST, MYSQL_PORT, RUN_MYSQL]
  register: tutor

- name: Fetch the root password
  tutorops.scale.tutor_config_info:
    owner: tutor
    keys: [MYSQL_ROOT_PASSWORD]
    show_secrets: true
  no_log: true
  register: tutor_secrets
"""

RETURN = r"""
settings:
  description: Settings and their values, with their types.
  type: dict
  returned: success
  sample: {"MYSQL_HOST": "mysql", "MYSQL_PORT": 3306, "RUN_MYSQL": true}
user_keys:
  description: Those of the names in RV(settings) that are saved in C(config.yml), rather than left at a default.
  type: list
  elements: str
  returned: success
version:
  description: Version of Tutor.
  type: dict
  returned: success
  contains:
    full:
      description: The version as text.
      type: str
      sample: 22.0.3
    major:
      description: The release number; 22 is Verawood.
      type: int
      sample: 22
    minor:
      description: The second number.
      type: int
      sample: 0
    patch:
      description: The third number.
      type: int
      sample: 3
env_version:
  description: The version that rendered the environment, or null if none has yet.
  type: str
  returned: success
  sample: 22.0.3
root:
  description: The Tutor root.
  type: str
  returned: success
paths:
  description: Where things are.
  type: dict
  returned: success
  contains:
    binary:
      description: The C(tutor) executable.
      type: str
    config:
      description: The file of settings.
      type: str
    env:
      description: The rendered environment.
      type: str
    data:
      description: The data of the stores.
      type: str
    plugins:
      description: The directory of single-file plugins.
      type: str
owner:
  description: The account that the root belongs to.
  type: dict
  returned: success
  contains:
    name:
      description: Name of the user.
      type: str
    uid:
      description: Number of the user.
      type: int
    gid:
      description: Number of the main group.
      type: int
    home:
      description: Home directory.
      type: str
project_name:
  description: Name of the compose project.
  type: str
  returned: success
  sample: tutor_local
enabled_plugins:
  description: Plugins that are enabled and load.
  type: list
  elements: str
  returned: success
failed_plugins:
  description: Plugins that are enabled but that Tutor cannot load, with the reason. It renders without their patches.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.tutor import TutorError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_module import TUTOR_OPTIONS, fail, open_tutor
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_secrets import masked_config


def read(tutor, keys, missing_ok):
    """Collect everything that the module returns."""
    with tutor.locked():
        user = tutor.user_config()
        listing = tutor.run("plugins", "printroot")
        failed = listing.failed_plugins
        if keys is None:
            values = user
        else:
            values = tutor.values(keys, missing_ok=missing_ok)
        env_version = tutor.root / "env" / "version"
        return {
            "settings": values,
            "user_keys": sorted(name for name in values if name in user),
            "version": {"full": str(tutor.version), **tutor.version._asdict()},
            "env_version": env_version.read_text(encoding="utf-8").strip() if env_version.is_file() else None,
            "root": str(tutor.root),
            "paths": {
                "binary": tutor.binary,
                "config": str(tutor.config_path),
                "env": str(tutor.root / "env"),
                "data": str(tutor.root / "data"),
                "plugins": listing.lines[-1].strip(),
            },
            "owner": {
                "name": tutor.owner.name,
                "uid": tutor.owner.uid,
                "gid": tutor.owner.gid,
                "home": str(tutor.owner.home),
            },
            "project_name": tutor.project_name,
            "enabled_plugins": [name for name in user.get("PLUGINS") or [] if name not in failed],
            "failed_plugins": {name: tutor.mask(reason) for name, reason in failed.items()},
        }


def main():
    module = AnsibleModule(
        argument_spec=dict(
            TUTOR_OPTIONS,
            keys={"type": "list", "elements": "str", "no_log": False},
            missing_ok={"type": "bool", "default": False},
            show_secrets={"type": "bool", "default": False, "no_log": False},
        ),
        supports_check_mode=True,
    )
    tutor = open_tutor(module, hide=not module.params["show_secrets"])
    try:
        found = read(tutor, module.params["keys"], module.params["missing_ok"])
    except (TutorError, OSError) as error:
        fail(module, tutor, error)
    if not module.params["show_secrets"]:
        found["settings"] = masked_config(found["settings"])
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
