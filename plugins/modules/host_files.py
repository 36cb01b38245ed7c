#!/usr/bin/python
# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Write the small files of a role in one go
version_added: 0.1.0
description:
  - Compares and validates all files before it puts the first one in its place, each in one step. A file that is not
    valid leaves all of them as they were.
  - One round trip instead of two for each file, which is most of the time that a second run takes.
author:
  - Tutor Ops contributors (@tutorops)
options:
  files:
    description:
      - The files and directories, directories before what is in them.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where it is.
        type: path
        required: true
      state:
        description:
          - V(file) has O(files[].content) or O(files[].secret_content).
          - V(directory) is made together with its parents.
          - V(absent) removes a file; a directory is refused.
        type: str
        choices: [file, directory, absent]
        default: file
      content:
        description: What is in the file; C(lookup('ansible.builtin.template', ...)) renders a template.
        type: str
      secret_content:
        description:
          - What is in the file, coded in base64, and is shown in no log and no diff.
          - A host's log quotes what a module was given, and quotes change line ends and quotation marks; what is coded
            has none, so that it is recognised and left out.
        type: str
      mode:
        description: Its mode as an octal number in quotes, by default V('0644') for files, V('0755') for directories.
        type: str
      owner:
        description: Name of its owner; empty for whoever has it, or runs this.
        type: str
        default: root
      group:
        description: Name of its group; empty for the one that it has, or for that of whoever runs this.
        type: str
        default: root
      replace:
        description: Whether a file that is there already gets this content.
        type: bool
        default: true
      validate:
        description:
          - A command that refuses a file that is not valid, with V(%s) for its path. It runs when the content changes,
            without a shell, on a file beside the one that it is to replace.
        type: str
        default: ""
extends_documentation_fragment:
  - tutorops.scale.attributes
attributes:
  check_mode:
    description: Says what would change; what is to be validated is not.
    details: A command that validates may come with a package that check mode does not install.
    support: partial
  diff_mode:
    description: Shows each file that differs, but never O(files[].secret_content).
"""

EXAMPLES = r"""
- name: Write the server's configuration and the unit's additions
  tutorops.scale.host_files:
    files:
      - path: /etc/systemd/system/mysql.service.d
        state: directory
      - path: /etc/systemd/system/mysql.service.d/site.conf
        content: "{{ lookup('ansible.builtin.template', 'site.conf.j2') }}"
      - path: /etc/mysql/conf.d/site.cnf
        content: "{{ lookup('ansible.builtin.template', 'site.cnf.j2') }}"
        validate: /usr/sbin/mysqld --defaults-file=%s --validate-config
"""

RETURN = r"""
paths:
  description: The paths at which something changed.
  type: list
  elements: str
  returned: success
  sample: [/etc/mysql/conf.d/site.cnf]
"""

import base64
import binascii
import re
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.host_files import FilesError, Wanted, apply, differences


def decoded(path, text):
    """A secret as it is to be in its file."""
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise FilesError(f"the secret_content of {path} is not coded in base64: give it through b64encode.") from error


def wanted(entry):
    """One entry of the task, or why it cannot be one."""
    path, state, mode = entry["path"], entry["state"], entry["mode"]
    given = [entry[name] for name in ("content", "secret_content") if entry[name] is not None]
    if not Path(path).is_absolute():
        raise FilesError(f"{path} is no absolute path.")
    if len(given) != (state == "file"):
        raise FilesError(f"{path} is a {state}: a file wants either content or secret_content, and nothing else does.")
    if mode is not None and not re.fullmatch(r"[0-7]{4}", mode):
        raise FilesError(f"{path} has the mode {mode!r}, no octal number of four digits in quotes such as '0644'.")
    return Wanted(
        path=Path(path),
        state=state,
        content=decoded(path, given[0]) if entry["secret_content"] is not None else "".join(given).encode(),
        secret=entry["secret_content"] is not None,
        mode=int(mode or ("0755" if state == "directory" else "0644"), 8),
        owner=entry["owner"],
        group=entry["group"],
        replace=entry["replace"],
        validate=entry["validate"],
    )


def main():
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "state": {"type": "str", "choices": ["file", "directory", "absent"], "default": "file"},
                    "content": {"type": "str", "no_log": False},
                    "secret_content": {"type": "str", "no_log": True},
                    "mode": {"type": "str"},
                    "owner": {"type": "str", "default": "root"},
                    "group": {"type": "str", "default": "root"},
                    "replace": {"type": "bool", "default": True},
                    "validate": {"type": "str", "default": ""},
                },
            }
        },
        supports_check_mode=True,
    )
    try:
        found = differences(map(wanted, module.params["files"]))
        if not module.check_mode:
            apply(found)
    except FilesError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename} cannot be read or written: {error.strerror}.")
    paths = [str(one.wanted.path) for one in found]
    module.exit_json(changed=bool(found), paths=paths, diff=[one.shown() for one in found])


if __name__ == "__main__":
    main()
