"""Specs, defaults and READMEs of roles: each way to differ is found, and the README's table is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import role_variables

README = f"# Role\n\n{role_variables.START}\n{role_variables.END}\n\nAfter.\n"
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def _make(options: str, defaults: str, readme: str | None = README) -> Path:
        role = tmp_path / "roles" / "cache"
        for folder in ("meta", "defaults"):
            (role / folder).mkdir(parents=True)
        indented = "\n".join(f"      {line}" for line in options.splitlines())
        spec = f"argument_specs:\n  main:\n    options:\n{indented}\n"
        (role / "meta" / "argument_specs.yml").write_text(spec, encoding="utf-8")
        (role / "defaults" / "main.yml").write_text(defaults, encoding="utf-8")
        if readme is not None:
            (role / "README.md").write_text(readme, encoding="utf-8")
        role_variables.main(["--roles", str(role.parent)])
        return role

    return _make


@pytest.mark.parametrize(
    ("options", "defaults", "complaint"),
    [
        ("cache_size: {default: 1}", "{cache_size: 1, cache_port: 2}", "cache_port has a default but no option"),
        ("cache_size: {type: int, default: 1}", "{}", "cache_size has a default in the spec but none in defaults"),
        (
            "cache_size: {type: int, default: 1}",
            "{cache_size: 2}",
            "cache_size is 2 in defaults/main.yml but 1 in the spec",
        ),
        ("cache_size: {type: int}", "{cache_size: 2}", "cache_size is 2 in defaults/main.yml but None in the spec"),
        ("cache_size: {type: int, required: true}", "{cache_size: 2}", "cache_size is required in the spec"),
        ("cache_hosts: {default: []}", '{cache_hosts: "{{ groups.cache }}"}', "cache_hosts is worked out"),
        ("cache_password: {required: true}", "{}", "cache_password holds a secret"),
    ],
)
def test_a_difference_is_one_sentence(make: Make, options: str, defaults: str, complaint: str) -> None:
    found = list(role_variables.differences(make(options, defaults)))
    assert len(found) == 1
    assert complaint in found[0]


def test_a_role_that_agrees_has_no_differences(make: Make) -> None:
    options = (
        "cache_size: {type: int, default: 1}\ncache_hosts: {type: list, elements: str}\ncache_user: {required: true}"
    )
    assert list(role_variables.differences(make(options, '{cache_size: 1, cache_hosts: "{{ groups.cache }}"}'))) == []


def test_a_role_without_readme_fails(make: Make) -> None:
    role = make("cache_size: {type: int, default: 1}", "{cache_size: 1}", readme=None)
    assert list(role_variables.differences(role)) == ["cache: README.md is missing."]
    assert role_variables.main(["--check", "--roles", str(role.parent)]) == 1


def test_a_role_without_spec_fails(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "README.md").write_text(README, encoding="utf-8")
    assert "cache: meta/argument_specs.yml is missing." in role_variables.differences(tmp_path / "cache")


def test_the_table_is_written_between_the_comments_and_nothing_else_changes(make: Make) -> None:
    role = make("cache_mode: {description: How C(cache) works., choices: [a, b], default: a}", "{cache_mode: a}")
    text = (role / "README.md").read_text(encoding="utf-8")
    assert "| `cache_mode` | str | `a` | How `cache` works. One of `a`, `b`. |" in text
    assert text.startswith("# Role\n") and text.endswith("\n\nAfter.\n")
    assert role_variables.main(["--check", "--roles", str(role.parent)]) == 0


def test_a_table_that_is_behind_fails_the_check(make: Make) -> None:
    role = make("cache_size: {type: int, default: 1}", "{cache_size: 1}")
    (role / "README.md").write_text(README, encoding="utf-8")
    assert any("not up to date" in sentence for sentence in role_variables.differences(role))
