# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HAProxy with the configuration that role edge writes, in a container on the machine's network."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(CHECKOUT / ".ansible" / "collections"))

from edge_world import World  # noqa: E402
from request_world import Platform  # noqa: E402
from tls_world import TlsWorld  # noqa: E402

IMAGE = "tutorops-lab/appserver"
HOST = "tutorops-test-edge"


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def haproxy_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A container with HAProxy that sees one folder of the machine under the same name; the folder."""
    if not docker("images", "--quiet", IMAGE):
        subprocess.run([sys.executable, CHECKOUT / "molecule" / "shared" / "lab.py", "images"], check=True)
    # Short, because the path of a socket is.
    folder = tmp_path_factory.mktemp("e")
    subprocess.run(["docker", "rm", "--force", HOST], capture_output=True, check=False)
    docker("run", "--detach", "--init", "--name", HOST, "--network", "host", "--cap-add", "NET_ADMIN",
           "--volume", f"{folder}:{folder}", IMAGE, "sleep", "infinity")  # fmt: skip
    try:
        docker("exec", HOST, "apt-get", "install", "--yes", "--no-install-recommends", "-qq", "haproxy")
        yield folder
    finally:
        docker("rm", "--force", HOST)


def run(*words: str) -> str:
    """Run a command where HAProxy is."""
    return docker("exec", HOST, *words)


def a_folder(haproxy_host: Path) -> Path:
    folder = haproxy_host / f"{time.monotonic_ns():x}"
    folder.mkdir()
    return folder


@pytest.fixture
def world(haproxy_host: Path) -> Iterator[World]:
    """An edge before one store with two members, and everything around it."""
    made = World(a_folder(haproxy_host), CHECKOUT, run)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def tls_world(haproxy_host: Path) -> Iterator[TlsWorld]:
    """An edge before stores that speak TLS on the way to their members."""
    made = TlsWorld(a_folder(haproxy_host), CHECKOUT, run)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def platform(haproxy_host: Path) -> Iterator[Platform]:
    """A real Caddy before a small web server, with an edge where requests may wait."""
    made = Platform(a_folder(haproxy_host), CHECKOUT, run)
    try:
        made.start()
        yield made
    finally:
        made.stop()
