from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "molecule" / "shared"
sys.path[:0] = [str(SHARED), str(Path(__file__).parent)]

from lab_site import Site  # noqa: E402
from lablib.settings import Settings  # noqa: E402


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A fresh lab for each module: an app server with a platform that answers, and bare data hosts."""
    os.environ.setdefault("TUTOROPS_LAB_PREFIX", "faults")
    os.environ.setdefault("TUTOROPS_LAB_NETWORK", "tutorops-faults")
    os.environ.setdefault("TUTOROPS_LAB_SUBNET", "172.29.60.0/24")
    settings = Settings.from_environment(os.environ)
    lab = [sys.executable, str(SHARED / "lab.py")]
    subprocess.run([*lab, "down"], check=True)
    subprocess.run([*lab, "up"], check=True)
    yield Site(settings, tmp_path_factory.mktemp("site"))
    if not os.environ.get("TUTOROPS_LAB_KEEP"):
        subprocess.run([*lab, "down"], check=True)
