# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caddy's admin API: what is behind it, and how it lets go of connections."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.caddy import (
    Caddy,
    CaddyError,
    Upstream,
    keep_waiting_connections,
    upstreams,
)
from ansible_collections.tutorops.scale.plugins.module_utils.netns import NetworkError, Response


def route(host: str, *dials: str) -> dict[str, Any]:
    """A site as Caddy's own adapter writes it: a subroute with a matcher inside."""
    proxy = {"handler": "reverse_proxy", "upstreams": [{"dial": dial} for dial in dials]}
    inner = {"handle": [{"handler": "subroute", "routes": [{"handle": [{"handler": "encode"}, proxy]}]}]}
    return {"match": [{"host": [host]}], "handle": [{"handler": "subroute", "routes": [inner]}], "terminal": True}


CONFIG = {
    "apps": {
        "http": {
            "servers": {
                "srv0": {
                    "routes": [
                        route("lms.test", "lms:8000"),
                        route("preview.lms.test", "lms:8000"),
                        route("studio.lms.test", "cms:8000"),
                        route("*.lms.test", "mfe:8002"),
                        {"handle": [{"handler": "static_response"}]},
                    ]
                }
            }
        }
    }
}


def test_upstreams_have_the_sites_that_end_there() -> None:
    assert upstreams(CONFIG) == [
        Upstream("cms", 8000, ("studio.lms.test",)),
        Upstream("lms", 8000, ("lms.test", "preview.lms.test")),
        Upstream("mfe", 8002, ()),
    ]
    assert upstreams({}) == []


class Admin:
    """The admin API of a container."""

    def __init__(self, status: int = 200, body: bytes = b"") -> None:
        self.status, self.body = status, body
        self.calls: list[tuple[str, str, bytes | None]] = []

    def __call__(self, pid: int, port: int, path: str, **options: Any) -> Response:
        assert (pid, port, options["host"]) == (42, 2019, "localhost:2019")
        self.calls.append((options["method"], path, options["body"]))
        if path == "/load":
            assert options["headers"]["Cache-Control"] == "must-revalidate", "else Caddy ignores what it has already"
        return Response(self.status, self.body)


def test_connections_are_forgotten_by_giving_caddy_its_own_configuration() -> None:
    text = json.dumps(CONFIG).encode()
    admin, kept = Admin(body=text), []
    Caddy(42, admin, keep=kept.append).forget_connections()
    assert admin.calls == [("GET", "/config/", None), ("POST", "/load", text)]
    assert kept == [42]


def test_it_is_given_another_configuration_and_loses_no_connection() -> None:
    admin, kept = Admin(), []

    def keep(pid: int) -> None:
        assert not admin.calls, "what waits has to be kept before Caddy listens anew"
        kept.append(pid)

    Caddy(42, admin, keep=keep).load({"apps": {}})
    assert admin.calls == [("POST", "/load", b'{"apps": {}}')]
    assert kept == [42]


def test_what_waits_at_a_process_that_is_gone_needs_nothing() -> None:
    keep_waiting_connections(2**22 + 1)


def test_requests_under_way_are_counted_by_address() -> None:
    admin = Admin(body=b'[{"address": "lms:8000", "num_requests": 3, "fails": 0}]')
    assert Caddy(42, admin).requests() == {"lms:8000": 3}


def test_a_caddy_without_a_configuration_has_no_upstreams() -> None:
    assert Caddy(42, Admin(body=b"null")).upstreams() == []


def test_what_goes_wrong_is_a_sentence() -> None:
    with pytest.raises(CaddyError, match=r"answered 403 to GET /config/: host not allowed"):
        Caddy(42, Admin(403, b"host not allowed")).config()
    with pytest.raises(CaddyError, match="answered what is not JSON"):
        Caddy(42, Admin(body=b"<html>")).config()

    def silent(*_words: Any, **_options: Any) -> Response:
        raise NetworkError("port 2019 did not answer GET /config/: refused")

    with pytest.raises(CaddyError, match="is it switched off in the Caddyfile"):
        Caddy(42, silent).config()
