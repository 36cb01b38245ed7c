# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: redis_config
short_description: Keep settings of Redis or a Sentinel, in its file and in the server that runs
description:
  - Redis and Sentinels write their own configuration files, as after a failover. So a template would undo what they
    decided. This module puts the settings that are wanted into the file, and leaves all others alone.
  - A server that runs is told of each setting first, and writes its file itself. What only a start takes over is put
    into the file and reported by RV(restart_needed).
  - A file that this module has not written before is a package's example, and is replaced.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  path:
    description: The configuration file.
    type: path
    required: true
  settings:
    description:
      - Settings by name; a list for one that stands more than once. A Sentinel's have names of two words.
    type: dict
    required: true
  secret_settings:
    description: More of O(settings), whose values are shown and logged nowhere.
    type: dict
    default: {}
  first:
    description: Settings that are only put into a file that is written for the first time.
    type: dict
    default: {}
  acl_file:
    description: File of the users; a server that runs loads it when it has others.
    type: path
  address:
    description: Where the server answers; without it only the file is looked at.
    type: str
  port:
    description: Its port.
    type: int
    default: 6379
  user:
    description: Administrator of the server.
    type: str
  password:
    description: Password of O(user).
    type: str
  ca:
    description: Certificate authority of the server's certificate.
    type: path
extends_documentation_fragment:
  - ansible.builtin.files
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    description: Says what would change; what only a start takes over cannot be told from what does not.
    support: partial
    details: The server is not told anything, so RV(restart_needed) names settings of the file only.
  diff_mode:
    description: Names the settings, without values, because some are secret.
    support: partial
    details: Values are left out.
  platform:
    description: Any host with Redis.
    platforms: posix
    support: full
requirements:
  - redis-py on the host (the package python3-redis), with O(address)
seealso:
  - module: tutorops.scale.redis_replication
"""

EXAMPLES = r"""
- name: Let the server use 2 GB, now and after its next start
  tutorops.scale.redis_config:
    path: /etc/redis/redis.conf
    settings:
      maxmemory: 2gb
      maxmemory-policy: volatile-lru
    address: 10.0.0.11
    user: tutorops
    password: "{{ redis_admin_password }}"
    ca: /etc/redis/tls/ca.pem
"""

RETURN = r"""
settings_changed:
  description: Names of the settings that were changed, in the file or in the server.
  type: list
  elements: str
  returned: success
restart_needed:
  description: Names of settings that the server that runs does not have, and takes over at its next start.
  type: list
  elements: str
  returned: success
"""
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.redis_client import Connection
from ansible_collections.tutorops.scale.plugins.module_utils.redis_config import (
    Told,
    acl_differs,
    differing,
    merge,
    tell,
)
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError, Unreachable


def read(path):
    """The text of a file, empty without one."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write(module, path, text):
    """Replace the file in one step, with owner and mode of the options."""
    temporary = os.path.join(module.tmpdir, "redis.conf")
    with open(temporary, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    module.atomic_move(temporary, path)


def connect(options):
    """A connection to the server, or None while it does not run or does not know us yet."""
    if not options["address"]:
        return None
    try:
        return Connection(
            options["address"], options["port"], options["user"] or "", options["password"] or "", options["ca"], 10.0
        )
    except Unreachable:
        return None


def load_users(connection, path, dry):
    """Have the server load its users again where it has others; says whether it had."""
    in_force = [one.decode() for one in connection.call("ACL", "LIST")]
    if not acl_differs(read(path), in_force):
        return False
    if not dry:
        connection.call("ACL", "LOAD")
    return True


def converge(module):
    """Bring file and server about; returns what the module returns."""
    options, dry = module.params, module.check_mode
    path, wanted = options["path"], {**options["settings"], **options["secret_settings"]}
    told = Told()
    connection = connect(options)
    if connection is not None:
        with connection:
            if options["acl_file"] and load_users(connection, options["acl_file"], dry):
                told.changed.append("aclfile")
            done = tell(connection, wanted, dry)
            told.changed += done.changed
            told.restart_needed = done.restart_needed
            if done.changed and not dry:
                connection.call("CONFIG", "REWRITE")
    before = read(path)
    after = merge(before, wanted, options["first"])
    names = differing(before, wanted) if after != before else []
    if after != before and not dry:
        write(module, path, after)
    changed = sorted({*told.changed, *names})
    attributes = module.load_file_common_arguments(module.params, path=path)
    moved = module.set_fs_attributes_if_different(attributes, False) if os.path.exists(path) or not dry else False
    return dict(
        changed=bool(changed) or after != before or moved,
        settings_changed=changed,
        restart_needed=sorted(told.restart_needed),
        diff={"before": "", "after": "".join(f"{name}\n" for name in changed)},
    )


def main():
    module = AnsibleModule(
        argument_spec=dict(
            path={"type": "path", "required": True},
            settings={"type": "dict", "required": True},
            secret_settings={"type": "dict", "default": {}, "no_log": True},
            first={"type": "dict", "default": {}},
            acl_file={"type": "path"},
            address={"type": "str"},
            port={"type": "int", "default": 6379},
            user={"type": "str"},
            password={"type": "str", "no_log": True},
            ca={"type": "path"},
        ),
        add_file_common_args=True,
        supports_check_mode=True,
    )
    for name in ("settings", "secret_settings", "first"):
        module.params[name] = {
            key: [str(one) for one in value] if isinstance(value, list) else str(value)
            for key, value in module.params[name].items()
        }
    try:
        module.exit_json(**converge(module))
    except (StoreError, OSError) as problem:
        module.fail_json(msg=str(problem))


if __name__ == "__main__":
    main()
