# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A metrics API whose numbers a test chooses; the autoscalers that read it are the real ones."""

from __future__ import annotations

import datetime
import http.server
import json
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cluster import Cluster

GROUP = "metrics.k8s.io/v1beta1"


class Metrics:
    """Serves the usage of pods as metrics-server does, behind the API server's aggregation layer."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.cpu = "100m"
        certificate, key = folder / "metrics.crt", folder / "metrics.key"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(owner.answer(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str) -> dict[str, Any]:
        """Answer the API server."""
        if not path.rstrip("/").split("?")[0].endswith("/pods"):
            resource = {"name": "pods", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]}
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP, "resources": [resource]}
        selector = parse_qs(urlsplit(path).query).get("labelSelector", [""])[0]
        namespace = path.split("/namespaces/")[1].split("/")[0]
        query = ("get", "pods", f"--namespace={namespace}", f"--selector={selector}", "--output=json")
        # The autoscaler counts a pod once a whole window lies behind the moment in which it became ready.
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        items = [
            {
                "metadata": {"name": pod["metadata"]["name"], "namespace": namespace},
                "timestamp": now,
                "window": "1s",
                "containers": [
                    {"name": container["name"], "usage": {"cpu": self.cpu, "memory": "500Mi"}}
                    for container in pod["spec"]["containers"]
                ],
            }
            for pod in json.loads(self.cluster.kubectl(*query))["items"]
        ]
        return {"kind": "PodMetricsList", "apiVersion": GROUP, "metadata": {}, "items": items}

    def register(self) -> None:
        """Have the API server pass requests on to this."""
        service = {"namespace": "kube-system", "name": "metrics", "port": self.server.server_address[1]}
        self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "metrics", "namespace": "kube-system"},
                "spec": {"type": "ExternalName", "externalName": "localhost"},
            },
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": "v1beta1.metrics.k8s.io"},
                "spec": {
                    "group": "metrics.k8s.io",
                    "version": "v1beta1",
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "insecureSkipTLSVerify": True,
                    "service": service,
                },
            },
        )

    def unregister(self) -> None:
        """Take the metrics API away."""
        self.cluster.kubectl("delete", "apiservice", "v1beta1.metrics.k8s.io", "--ignore-not-found")
