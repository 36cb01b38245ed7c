"""The hosts of a lab: their network, their volumes, and containers that boot systemd."""

from __future__ import annotations

from . import engine
from .errors import LabError
from .images import Catalogue
from .settings import STORES, Settings
from .shell import Stopwatch, docker, run, say, succeeds, wait_until

LABEL = "org.tutorops.lab"
UNCONFINED = tuple(f"--security-opt={name}=unconfined" for name in ("seccomp", "apparmor", "systempaths"))


def flags(cgroup_version: str) -> list[str]:
    """How a container has to be started so that systemd boots in it, and a second Docker engine on the app server."""
    common = ["--cgroupns=private", "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec", "--stop-timeout=90"]
    if cgroup_version == "2":
        return ["--privileged", *common]
    # Not --privileged: some machines run without CAP_SYS_RESOURCE, and then nobody can be given it.
    return ["--cap-add=ALL", "--cap-drop=SYS_RESOURCE", *UNCONFINED, *common]


def volumes(settings: Settings, host: str) -> dict[str, str]:
    """Volume and mount point of everything on a host that must not lie on the container's own layers."""
    if host == settings.app:
        return {f"{host}-docker": "/var/lib/docker", f"{host}-tutor": "/home/tutor"}
    # Databases want a real file system below them.
    return {f"{host}-{store}": f"/var/lib/{store}" for store in STORES}


def image(settings: Settings, host: str) -> str:
    """Name of the image that a host runs."""
    return "appserver" if host == settings.app else "datahost"


def create_network(settings: Settings) -> None:
    """Create the lab's network unless it is there."""
    if succeeds(["docker", "network", "inspect", settings.network]):
        found = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", settings.network).strip()
        if found != settings.subnet:
            raise LabError(
                f"The Docker network {settings.network} has the subnet {found}, not {settings.subnet}: "
                "set TUTOROPS_LAB_SUBNET to it, choose another TUTOROPS_LAB_NETWORK, or remove the network."
            )
        return
    docker("network", "create", f"--subnet={settings.subnet}", f"--label={LABEL}={settings.prefix}", settings.network)


def create_volumes(settings: Settings, host: str) -> None:
    """Create the volumes of a host that are not there yet."""
    for volume in volumes(settings, host):
        docker("volume", "create", f"--label={LABEL}={settings.prefix}", volume)


def state(host: str) -> str:
    """Docker's word for the state of a host's container, or `absent`."""
    if not succeeds(["docker", "container", "inspect", host]):
        return "absent"
    return docker("container", "inspect", "--format", "{{.State.Status}}", host).strip()


def start(settings: Settings, catalogue: Catalogue, host: str) -> None:
    """Create a host, or start it again where it stopped."""
    tag = catalogue.tag(image(settings, host))
    match state(host):
        case "absent":
            create_volumes(settings, host)
            docker(
                "run",
                "--detach",
                f"--name={host}",
                f"--hostname={host}",
                f"--label={LABEL}={settings.prefix}",
                f"--network={settings.network}",
                f"--ip={settings.address(host)}",
                *flags(engine.cgroup_version()),
                *(f"--volume={volume}:{path}" for volume, path in volumes(settings, host).items()),
                tag,
            )
        case "running":
            if docker("container", "inspect", "--format", "{{.Config.Image}}", host).strip() != tag:
                say(f"{host} runs another image than this tree describes: renew it by `lab.py down` and `lab.py up`.")
        case _:
            docker("start", host)


def wait_booted(host: str) -> None:
    """Return once systemd has finished booting, with or without failed units."""

    def booted() -> bool:
        try:
            answer = run(["docker", "exec", host, "systemctl", "is-system-running"], check=False, timeout=20)
        except LabError:
            return False
        return answer.strip() in ("running", "degraded")

    wait_until(
        booted,
        f"systemd on {host} does not finish booting; look with `docker exec -it {host} systemctl list-jobs`",
        120,
    )


def start_all(settings: Settings, catalogue: Catalogue) -> None:
    """Start every host of the lab and wait until all have booted."""
    with Stopwatch(f"boot {', '.join(settings.hosts)}"):
        for host in settings.hosts:
            start(settings, catalogue, host)
        for host in settings.hosts:
            wait_booted(host)


def remove_host(settings: Settings, host: str) -> None:
    """Remove one host and its volumes, as far as they exist."""
    if state(host) != "absent":
        docker("rm", "--force", "--volumes", host)
    for volume in volumes(settings, host):
        if succeeds(["docker", "volume", "inspect", volume]):
            docker("volume", "rm", volume)


def labelled(kind: str, label: str) -> list[str]:
    """Names of the containers, volumes or networks that carry a label."""
    listing = ["container", "ls", "--all"] if kind == "container" else [kind, "ls"]
    column = "{{.Names}}" if kind == "container" else "{{.Name}}"
    return docker(*listing, "--filter", f"label={label}", "--format", column).split()


def remove(label: str) -> None:
    """Remove every container, volume and network with this label."""
    for host in labelled("container", label):
        docker("rm", "--force", "--volumes", host)
    for volume in labelled("volume", label):
        docker("volume", "rm", volume)
    for network in labelled("network", label):
        docker("network", "rm", network)
