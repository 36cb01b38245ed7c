# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane on loopback, as long as it is needed. Only its nodes and what runs on them are simulated."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- {{name: test, cluster: {{server: "https://127.0.0.1:{port}", insecure-skip-tls-verify: true}}}}
users:
- {{name: admin, user: {{token: "{token}"}}}}
contexts:
- {{name: test, context: {{cluster: test, user: admin}}}}
current-context: test
"""


def free_port() -> int:
    """Find a port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_true(condition: Callable[[], bool], what: str, timeout: float = 180.0) -> None:
    """Wait for a condition, and say what did not come true."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {timeout:g} s")
        time.sleep(0.2)


class Cluster:
    """etcd, API server, controller manager, scheduler and kwok, with a folder for what they write."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder = programs, folder
        self.port = free_port()
        self.kubeconfig = folder / "kubeconfig"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start everything, and wait until the API answers."""
        token, key = secrets.token_hex(16), self.folder / "service-account.key"
        self.kubeconfig.write_text(_KUBECONFIG.format(port=self.port, token=token), encoding="utf-8")
        (self.folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n", encoding="utf-8")
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        store, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self._run(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={store}",
            f"--advertise-client-urls={store}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
        )
        self._run(
            "kube-apiserver",
            f"--etcd-servers={store}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--watch-cache=true",
        )
        await_true(lambda: self.kubectl("get", "--raw=/readyz", check=False) == "ok", "the API server is ready")
        login = f"--kubeconfig={self.kubeconfig}"
        manager = [login, f"--service-account-private-key-file={key}", f"--secure-port={free_port()}"]
        # The autoscaler looks every 15 s by default; a test wants to see it act.
        manager += ["--leader-elect=false", "--horizontal-pod-autoscaler-sync-period=2s"]
        # On a busy machine kwok's heartbeats come late, and no test is about lost nodes.
        manager += ["--node-monitor-grace-period=30m"]
        self._run("kube-controller-manager", *manager)
        self._run("kube-scheduler", login, "--leader-elect=false", f"--secure-port={free_port()}")
        self._run("kwok", login, "--manage-all-nodes=true", f"--config={self.programs / 'stages.yaml'}")
        account = ("get", "serviceaccount", "default", "--output=name")
        await_true(lambda: bool(self.kubectl(*account, check=False)), "the controller manager is at work")

    def _run(self, program: str, *args: str) -> None:
        with open(self.folder / f"{program}.log", "wb") as log:
            command = [str(self.programs / program), *args]
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder))

    def stop(self) -> None:
        """End everything, the last one first."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def variables(self) -> dict[str, str]:
        """Give the variables with which kubectl and tutor talk to this cluster."""
        return {"PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}", "KUBECONFIG": str(self.kubeconfig)}

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl as an administrator."""
        command = [str(self.programs / "kubectl"), *args]
        done = subprocess.run(
            command, env={**os.environ, **self.variables()}, input=stdin, capture_output=True, text=True, check=False
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(args)}: {done.stderr}")
        return done.stdout.strip() if done.returncode == 0 else ""

    def apply(self, *manifests: Json) -> None:
        """Create or change objects."""
        for manifest in manifests:
            self.kubectl("apply", "--filename=-", stdin=json.dumps(manifest))

    def add_node(self, name: str, memory: str = "32Gi", zone: str = "", control_plane: bool = False) -> None:
        """Add a simulated node."""
        labels = {"kubernetes.io/hostname": name, "type": "kwok"}
        if zone:
            labels["topology.kubernetes.io/zone"] = zone
        if control_plane:
            labels["node-role.kubernetes.io/control-plane"] = ""
        taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
        room = {"cpu": "8", "memory": memory, "pods": "110"}
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
                "spec": {"taints": [taint]} if control_plane else {},
                "status": {"allocatable": room, "capacity": room},
            }
        )
        self.kubectl("wait", f"node/{name}", "--for=condition=Ready", "--timeout=60s")
