# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: one real control plane for all tests, and a platform of its own in it for each supported Tutor.

`python -m pytest tests/k8s` is all it takes; the first run builds Kubernetes (see binaries.py).
"""

from __future__ import annotations

import importlib.util
import json
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from binaries import built  # noqa: E402
from cluster import Cluster, await_true  # noqa: E402
from metrics import Metrics  # noqa: E402


def _unit_fixtures() -> ModuleType:
    """Load the fixtures of the unit tests: they know where the real Tutors are."""
    path = CHECKOUT / "tests" / "unit" / "plugins" / "conftest.py"
    spec = importlib.util.spec_from_file_location("unit_fixtures", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


UNIT = _unit_fixtures()


def pytest_configure() -> None:
    """Make the collection known to the playbooks that the tests run, and leave nothing behind."""
    UNIT._find_collection()
    # Fixtures end the control plane, also when a time limit ends the tests.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("ended from outside", returncode=1))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run a control plane, with two nodes in one zone each."""
    running = Cluster(built(), tmp_path_factory.mktemp("cluster"))
    try:
        running.start()
        running.add_node("n1", zone="a")
        running.add_node("n2", zone="b")
        yield running
    finally:
        running.stop()


@pytest.fixture
def metrics(cluster: Cluster, tmp_path: Path) -> Iterator[Metrics]:
    """Have a metrics API in the cluster."""
    served = Metrics(cluster, tmp_path)
    served.register()
    condition = "--for=condition=Available=True"
    cluster.kubectl("wait", "apiservice/v1beta1.metrics.k8s.io", condition, "--timeout=60s")
    yield served
    served.unregister()
    served.server.shutdown()


@dataclass
class Platform:
    """A Tutor root whose platform runs in the cluster."""

    major: int
    binary: str
    root: Path
    plugins: Path
    cluster: Cluster
    namespace: str

    def environment(self) -> dict[str, str]:
        """Give the environment of an operator's shell."""
        tutor: dict[str, str] = UNIT.clean_environment(self.root, self.plugins)
        return {**tutor, **self.cluster.variables()}

    def tutor(self, *args: str) -> str:
        """Call tutor as an operator would."""
        command = [self.binary, *args]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, module: str, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run a module by ansible, with --diff; gives its answer, which holds `failed` when it failed."""
        given = {
            "root": str(self.root),
            "binary": self.binary,
            "plugins_root": str(self.plugins),
            "kubeconfig": str(self.cluster.kubeconfig),
            **options,
        }
        name = f"tutorops.scale.{module}"
        command = ["-m", "ansible", "adhoc", "localhost", "-m", name, "-a", json.dumps(given), "--diff"]
        return self._ansible([*command, "--check"] if check else command)

    def scale(self, *deployments: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
        """Run the module under test."""
        return self.run("tutor_k8s_scale", check, deployments=list(deployments), **{"timeout": 180, **options})

    def info(self, *deployments: dict[str, Any]) -> dict[str, Any]:
        """Run the preflight."""
        return self.run("tutor_k8s_info", deployments=list(deployments))

    def _ansible(self, command: list[str]) -> dict[str, Any]:
        environment = {
            **self.environment(),
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".ansible" / "collections"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        }
        command = [sys.executable, *command]
        # Away from the checkout, whose ansible.cfg adds output of its own.
        place = self.root.parent
        done = subprocess.run(command, env=environment, cwd=place, capture_output=True, text=True, check=False)
        start = done.stdout.find("{")
        assert start >= 0, done.stdout + done.stderr
        answer: dict[str, Any] = json.loads(done.stdout[start:])["plays"][0]["tasks"][0]["hosts"]["localhost"]
        return answer

    def playbook(self, *args: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run playbooks/scale_k8s.yml as an operator would."""
        given = {
            "tutor_k8s_hosts": "localhost",
            "tutor_k8s_become": False,
            "tutor_k8s_root": str(self.root),
            "tutor_k8s_binary": self.binary,
            "tutor_k8s_plugins_root": str(self.plugins),
            "tutor_k8s_kubeconfig": str(self.cluster.kubeconfig),
            "tutor_k8s_timeout": 180,
            **variables,
        }
        environment = {
            **self.environment(),
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".ansible" / "collections"),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        }
        command = [sys.executable, "-m", "ansible", "playbook", "--inventory=localhost,", "--connection=local"]
        command += ["--extra-vars", json.dumps(given), *args, str(CHECKOUT / "playbooks" / "scale_k8s.yml")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def kubectl(self, *args: str) -> str:
        """Run kubectl in the namespace of the platform."""
        return self.cluster.kubectl(f"--namespace={self.namespace}", *args)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Read one object from the API."""
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "--output=json"))
        return found

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Create or change objects in the namespace of the platform."""
        for manifest in manifests:
            metadata = {**manifest["metadata"], "namespace": self.namespace}
            self.cluster.apply({**manifest, "metadata": metadata})

    def replicas(self, name: str) -> int:
        """Read from the API how many replicas a deployment has."""
        count: int = self.get("deployment", name)["spec"]["replicas"]
        return count

    def await_available(self, name: str, count: int) -> None:
        """Wait until a deployment has as many pods that serve."""
        await_true(
            lambda: self.get("deployment", name).get("status", {}).get("availableReplicas", 0) == count,
            f"{name} has {count} replicas available",
        )

    def finding_ids(self, answer: dict[str, Any]) -> dict[str, str]:
        """Give the findings of an answer by their ids, with the severity of each."""
        return {finding["id"]: finding["severity"] for finding in answer["findings"]}


def _platform(major: int, cluster: Cluster, tmp_path: Path, minio: bool) -> Iterator[Platform]:
    binary = UNIT._venv(major) / "bin" / "tutor"
    shutil.copytree(UNIT._rendered(major, binary, minio), tmp_path / "site")
    # A namespace of its own: the one of the test before may take its time to go.
    namespace = f"site-{secrets.token_hex(4)}"
    site = tmp_path / "site"
    platform = Platform(major, str(binary), site / "root", site / "plugins", cluster, namespace)
    platform.tutor("config", "save", "--set", f"K8S_NAMESPACE={namespace}")
    platform.tutor("k8s", "start")
    try:
        for name in ("lms", "cms", "lms-worker", "cms-worker"):
            platform.await_available(name, 1)
        yield platform
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def platform(cluster: Cluster, tmp_path: Path) -> Iterator[Platform]:
    """Run the newest Tutor with files of learners in object storage."""
    yield from _platform(22, cluster, tmp_path, minio=True)


@pytest.fixture
def local_files_platform(cluster: Cluster, tmp_path: Path) -> Iterator[Platform]:
    """Run the newest Tutor without object storage."""
    yield from _platform(22, cluster, tmp_path, minio=False)


@pytest.fixture(params=UNIT.MAJORS, ids=lambda major: f"tutor{major}")
def each_platform(request: pytest.FixtureRequest, cluster: Cluster, tmp_path: Path) -> Iterator[Platform]:
    """Run each supported Tutor in turn."""
    yield from _platform(request.param, cluster, tmp_path, minio=True)
