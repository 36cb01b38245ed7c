# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Kubernetes built from its Go modules, with nodes simulated by kwok, kept by version for the next run.

Run as a script it builds and prints the folder; that takes about 8 minutes on 2 cores, and a moment once it is kept.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

KUBERNETES = "1.34.4"
KWOK = "0.8.0"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
ETCD_PACKAGE = "etcd-server"


def folder() -> Path:
    """Name the folder of the binaries; it is kept by what was asked for."""
    cache = Path(os.environ.get("TUTOROPS_TEST_CACHE") or Path.home() / ".cache" / "tutorops")
    wanted = json.dumps([KUBERNETES, KWOK, PROGRAMS, STAGES])
    return cache / f"k8s-{KUBERNETES}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"


def built() -> Path:
    """Give the folder of the binaries, and build what is missing there."""
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    with open(place.parent / f"{place.name}.lock", "w", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with tempfile.TemporaryDirectory(prefix="tutorops-k8s-") as work:
            _build_kwok(place)
            _build_kubernetes(place, Path(work))
            _fetch_etcd(place, Path(work))
    return place


def _go(*args: str, cwd: Path | None = None, **environment: str) -> str:
    # GOFLAGS of the machine are kept; two compilers at once would starve everything beside it.
    flags = f"{os.environ.get('GOFLAGS', '')} {environment.pop('GOFLAGS', '')} -p=1".strip()
    variables = {**os.environ, "GOFLAGS": flags, "CGO_ENABLED": "0", **environment}
    command = ["nice", "-n", "19", "go", *args]
    done = subprocess.run(command, cwd=cwd, env=variables, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"`go {' '.join(args)}` failed: {done.stderr[-2000:]}")
    return done.stdout


def _build_kwok(place: Path) -> None:
    stages = place / "stages.yaml"
    if (place / "kwok").exists() and stages.exists():
        return
    _go("install", "-ldflags=-s -w", f"sigs.k8s.io/kwok/cmd/kwok@v{KWOK}", GOBIN=str(place))
    source = Path(json.loads(_go("mod", "download", "-json", f"sigs.k8s.io/kwok@v{KWOK}"))["Dir"])
    documents = [
        path.read_text(encoding="utf-8")
        for stage in STAGES
        for path in sorted((source / "kustomize" / "stage" / stage).glob("*.yaml"))
        if path.name != "kustomization.yaml"
    ]
    stages.write_text("\n---\n".join(documents), encoding="utf-8")


def _build_kubernetes(place: Path, work: Path) -> None:
    missing = [program for program in PROGRAMS if not (place / program).exists()]
    if not missing:
        return
    module = json.loads(_go("mod", "download", "-json", f"k8s.io/kubernetes@v{KUBERNETES}"))
    # Kubernetes requires its own staging modules at v0.0.0; they are published as v0.MINOR.PATCH.
    staging = re.findall(r"(k8s\.io/\S+) v0\.0\.0$", Path(module["GoMod"]).read_text(encoding="utf-8"), re.MULTILINE)
    version = "0." + KUBERNETES.split(".", 1)[1]
    lines = ["module tutorops.test/k8s", "", "go 1.24", "", f"require k8s.io/kubernetes v{KUBERNETES}", ""]
    lines += [f"replace {name} => {name} v{version}" for name in sorted(set(staging))]
    (work / "go.mod").write_text("\n".join(lines) + "\n", encoding="utf-8")
    imports = "\n".join(f'\t_ "k8s.io/kubernetes/cmd/{name}/app"' for name in PROGRAMS if name != "kubectl")
    (work / "main.go").write_text(f"package main\n\nimport (\n{imports}\n)\n\nfunc main() {{}}\n", encoding="utf-8")
    for program in missing:
        target = place / f"{program}.new"
        stamp = f"-X k8s.io/component-base/version.gitVersion=v{KUBERNETES}"
        package = f"k8s.io/kubernetes/cmd/{program}"
        _go("build", f"-ldflags=-s -w {stamp}", "-o", str(target), package, cwd=work, GOFLAGS="-mod=mod")
        target.rename(place / program)


def _fetch_etcd(place: Path, work: Path) -> None:
    """Take etcd out of Debian's package, so that nothing is installed on the machine."""
    if (place / "etcd").exists():
        return
    subprocess.run(["apt-get", "download", ETCD_PACKAGE], cwd=work, check=True, capture_output=True)
    package = next(work.glob("etcd-server_*.deb"))
    subprocess.run(["dpkg-deb", "--extract", package, work / "etcd"], check=True)
    shutil.copy(work / "etcd" / "usr" / "bin" / "etcd", place / "etcd")


if __name__ == "__main__":
    print(built())
