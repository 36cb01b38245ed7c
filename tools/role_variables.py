#!/usr/bin/env python3
"""Keep each role's variables the same in its argument spec, its defaults and its README.

    role_variables.py            write the tables of variables into the READMEs of all roles
    role_variables.py --check    change nothing; say what differs, and fail when something does

The spec is the truth about types and meaning, defaults/main.yml about values. A README holds the table between two
comments, `<!-- variables:start -->` and `<!-- variables:end -->`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[1] / "roles"
START = "<!-- variables:start -->"
END = "<!-- variables:end -->"
TABLE = re.compile(f"{START}.*?{END}", re.DOTALL)
SECRET = re.compile(r"_(password|secret|token)$")
MARKUP = re.compile(r"\b[COVEPMI]\(([^()]*)\)")
"""Ansible's C(code) and the like; nothing in a README needs to tell them apart."""


def read(path: Path) -> dict[str, Any]:
    """A YAML mapping, empty where there is no file."""
    loaded = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    return loaded or {}


def specified(role: Path) -> dict[str, dict[str, Any]]:
    """The options of all entry points by name."""
    entries = read(role / "meta" / "argument_specs.yml").get("argument_specs", {})
    options: dict[str, dict[str, Any]] = {}
    for entry in entries.values():
        options |= entry.get("options") or {}
    return options


def is_template(value: object) -> bool:
    """Whether a default is worked out when the role runs; a spec can only tell of it in words."""
    return isinstance(value, str) and "{{" in value


def differences(role: Path) -> Iterator[str]:
    """What is wrong with a role, one sentence each."""
    for name in ("README.md", "meta/argument_specs.yml"):
        if not (role / name).exists():
            yield f"{role.name}: {name} is missing."
    options, defaults = specified(role), read(role / "defaults" / "main.yml")
    for name in sorted(defaults.keys() - options.keys()):
        yield f"{role.name}: {name} has a default but no option in meta/argument_specs.yml."
    for name, option in sorted(options.items()):
        if SECRET.search(name) and not option.get("no_log"):
            yield f"{role.name}: {name} holds a secret, so the spec needs `no_log: true`."
        if name in defaults:
            yield from _differing(role.name, name, option, defaults[name])
        elif "default" in option:
            yield f"{role.name}: {name} has a default in the spec but none in defaults/main.yml."
    readme = role / "README.md"
    if readme.exists() and readme.read_text(encoding="utf-8") != with_table(readme, options, defaults):
        yield f"{role.name}: the table of variables in README.md is not up to date; run `make docs`."


def _differing(role: str, name: str, option: Mapping[str, Any], default: object) -> Iterator[str]:
    if option.get("required"):
        yield f"{role}: {name} is required in the spec, so it needs no default; remove one of them."
    elif is_template(default):
        if option.get("default", default) != default:
            yield f"{role}: {name} is worked out in defaults/main.yml; give the same or nothing in the spec."
    elif option.get("default") != default:
        yield f"{role}: {name} is {default!r} in defaults/main.yml but {option.get('default')!r} in the spec."


def with_table(readme: Path, options: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any]) -> str:
    """The text that a README should have; a README without the two comments gets them at its end."""
    text = readme.read_text(encoding="utf-8")
    block = f"{START}\n{table(options, defaults)}\n{END}"
    if TABLE.search(text):
        return TABLE.sub(lambda _: block, text)
    return f"{text.rstrip()}\n\n## Variables\n\n{block}\n"


def table(options: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any]) -> str:
    """A Markdown table, in the order of the spec."""
    rows = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for name, option in options.items():
        kind = option.get("type", "str") + (f" of {option['elements']}" if "elements" in option else "")
        rows.append(f"| `{name}` | {kind} | {_default(name, option, defaults)} | {_meaning(option)} |")
    return "\n".join(rows) if len(rows) > 2 else "None."


def _default(name: str, option: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    if option.get("required"):
        return "**required**"
    if name not in defaults:
        return ""
    value = defaults[name]
    if is_template(value):
        return "worked out"
    return f"`{value if isinstance(value, str) and value else json.dumps(value)}`"


def _meaning(option: Mapping[str, Any]) -> str:
    described = option.get("description", "")
    text = " ".join(described if isinstance(described, list) else [described])
    if "choices" in option:
        text += f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}."
    return MARKUP.sub(r"`\1`", " ".join(text.split())).replace("|", "\\|")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check or write; the exit code is 1 when a check found something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, say what differs")
    parser.add_argument("--roles", type=Path, default=ROLES, help="the folder of roles")
    chosen = parser.parse_args(arguments)
    roles = sorted(path for path in chosen.roles.iterdir() if path.is_dir())
    if not chosen.check:
        for role in roles:
            readme = role / "README.md"
            if readme.exists():
                text = with_table(readme, specified(role), read(role / "defaults" / "main.yml"))
                readme.write_text(text, encoding="utf-8")
        return 0
    found = [sentence for role in roles for sentence in differences(role)]
    print("\n".join(found) if found else f"{len(roles)} roles: specs, defaults and READMEs agree.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
