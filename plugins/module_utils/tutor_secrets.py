# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of Tutor's settings are secret, and how their values are kept out of messages and diffs."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

MASK = "********"

_SECRET_NAME = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|PRIVATE|SALT|DSN|KEYS?(?![A-Z])|(?:^|_)(?:PASS|PWD)(?:_|$)",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^@\s/]+(@)")

# Values that Tutor's own plugins document as defaults: masking them would only make messages unreadable.
_PUBLIC_VALUES = frozenset({"openedx", "root", "default", "admin"})

# Below this length a value found by name alone is masked only where it stands as a word of its own.
_ANYWHERE_LENGTH = 8
_SHORTEST = 4


def is_secret_name(name: str) -> bool:
    """Say whether a setting of this name holds something that must not be shown."""
    return _SECRET_NAME.search(name) is not None


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)


def secret_values(config: Mapping[str, Any]) -> set[str]:
    """Collect the strings below every key whose name, at any depth, is that of a secret."""
    found: set[str] = set()
    for name, value in config.items():
        if is_secret_name(str(name)):
            found.update(leaf for leaf in _leaves(value) if leaf not in _PUBLIC_VALUES and len(leaf) >= _SHORTEST)
        elif isinstance(value, Mapping):
            found |= secret_values(value)
        elif isinstance(value, (list, tuple)):
            for item in value:
                if isinstance(item, Mapping):
                    found |= secret_values(item)
    return found


def masked_config(config: Mapping[str, Any], secret_names: Iterable[str] = ()) -> dict[str, Any]:
    """Copy a configuration with each secret replaced by a mask."""
    named = set(secret_names)
    return {name: _masked_value(name, value, named) for name, value in config.items()}


def _masked_value(name: str, value: Any, named: set[str]) -> Any:
    if value not in (None, "") and (name in named or is_secret_name(name)):
        return MASK
    if isinstance(value, Mapping):
        return {key: _masked_value(str(key), item, set()) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked_value("", item, set()) for item in value]
    if isinstance(value, str):
        return _URL_PASSWORD.sub(rf"\g<1>{MASK}\g<2>", value)
    return value


def masked_difference(
    before: Mapping[str, Any], after: Mapping[str, Any], secret_names: Iterable[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Mask both sides of a diff so that a changed secret still shows as changed, but not its value."""
    named = set(secret_names)
    shown_before, shown_after = masked_config(before, named), masked_config(after, named)
    for name in shown_before.keys() & shown_after.keys():
        if before[name] != after[name] and shown_before[name] == shown_after[name]:
            shown_after[name] = f"{MASK} (changed)"
    return shown_before, shown_after


class Masker:
    """Hides a set of secret values in text, in each form in which a tool may print them."""

    def __init__(self, found_by_name: Iterable[str] = (), given: Iterable[str] = ()) -> None:
        anywhere: set[str] = set()
        words: set[str] = set()
        for value in given:
            anywhere |= _forms(value)
        for value in found_by_name:
            if len(value) >= _ANYWHERE_LENGTH:
                anywhere |= _forms(value)
            else:
                words |= _forms(value)
        patterns = [re.escape(form) for form in sorted(anywhere, key=len, reverse=True)]
        patterns += [rf"(?<!\w){re.escape(form)}(?!\w)" for form in sorted(words, key=len, reverse=True)]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def mask(self, text: str) -> str:
        """Return the text without any of the secrets."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        return _URL_PASSWORD.sub(rf"\g<1>{MASK}\g<2>", text)


def _forms(value: str) -> set[str]:
    """Spell a value as shells, JSON, YAML, Python and URLs would print it, and each longer line of it."""
    if not value.strip():
        return set()
    forms = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        shlex.quote(value),
        value.replace("'", "''"),
        value.replace("'", "'\"'\"'"),
        quote(value, safe=""),
    }
    lines = value.splitlines()
    if len(lines) > 1:
        forms.update(line.strip() for line in lines if len(line.strip()) >= _ANYWHERE_LENGTH)
    return {form for form in forms if form.strip()}
