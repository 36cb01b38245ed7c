# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules over the tutor command line have in common; twin of the doc fragment `tutor`."""

from __future__ import annotations

from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.respawn import has_respawned, respawn_module

from .tutor import Tutor, TutorError
from .tutor_config_file import HAS_YAML
from .tutor_secrets import MASK, Masker, masked_difference, secret_values
from .tutor_stage import Outcome
from .tutor_values import interpreter_of

TUTOR_OPTIONS: dict[str, Any] = {
    "root": {"type": "path"},
    "binary": {"type": "path"},
    "plugins_root": {"type": "path"},
    "owner": {"type": "str"},
    "lock_timeout": {"type": "float", "default": 60.0},
}


def open_tutor(module: AnsibleModule, hide: bool = True) -> Tutor:
    """Open the Tutor root that the task names, and by default keep what is secret there out of all output."""
    try:
        tutor = Tutor(
            root=module.params["root"],
            binary=module.params["binary"],
            plugins_root=module.params["plugins_root"],
            owner=module.params["owner"],
            lock_timeout=module.params["lock_timeout"],
        )
        _borrow_yaml(tutor)
        if hide:
            hide_from_log(module, secret_values(tutor.user_config()))
    except TutorError as error:
        module.fail_json(msg=str(error))
    return tutor


def _borrow_yaml(tutor: Tutor) -> None:
    """Go on under Tutor's own Python, which has PyYAML, where the host's has not: a plan installs nothing."""
    interpreter = interpreter_of(tutor.binary)
    if not HAS_YAML and interpreter is not None and not has_respawned():
        respawn_module(interpreter)


def hide_from_log(module: AnsibleModule, values: set[str]) -> None:
    """Have Ansible blank these values too, the task's own arguments at -vvv included.

    Ansible replaces text inside words, so short values are left to the masks of this collection.
    """
    module.no_log_values.update(value for value in values if len(value) >= 8)


def fail(module: AnsibleModule, tutor: Tutor, error: Exception) -> NoReturn:
    """End the task with one sentence."""
    message = str(error) if isinstance(error, TutorError) else f"{type(error).__name__} at {tutor.root}: {error}"
    module.fail_json(msg=tutor.mask(message))
    raise SystemExit(1)


def shown_outcome(outcome: Outcome, secret_names: set[str], given: set[str]) -> dict[str, Any]:
    """Describe an outcome for the operator, with a diff of the settings that differ and no secret in it."""
    names = {
        name
        for name in outcome.before.keys() | outcome.after.keys()
        if name not in outcome.before or name not in outcome.after or outcome.before[name] != outcome.after[name]
    }
    before = {name: outcome.before[name] for name in names if name in outcome.before}
    after = {name: outcome.after[name] for name in names if name in outcome.after}
    shown_before, shown_after = masked_difference(before, after, secret_names)
    masker = Masker(secret_values(outcome.before) | secret_values(outcome.after), given)
    shown_before, shown_after = _masked(shown_before, masker), _masked(shown_after, masker)
    return {
        "before": shown_before,
        "after": shown_after,
        "env_changed": outcome.env_changed,
        "backup": outcome.backup,
        "diff": {
            "before_header": "config.yml and env/ as they are",
            "after_header": "config.yml and env/ as they should be",
            "before": _listed(shown_before, []),
            "after": _listed(shown_after, [*outcome.env_changed, *outcome.plugins_changed]),
        },
    }


def _masked(value: Any, masker: Masker) -> Any:
    if isinstance(value, dict):
        return {name: _masked(item, masker) for name, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, masker) for item in value]
    if isinstance(value, str) and not value.startswith(MASK):
        return masker.mask(value)
    return value


def _listed(config: dict[str, Any], files: list[str]) -> str:
    lines = [f"{name}: {config[name]!r}" for name in sorted(config)]
    lines += [f"(rendered or installed anew) {name}" for name in files]
    return "".join(f"{line}\n" for line in lines)
