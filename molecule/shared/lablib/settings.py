"""What can be chosen about a lab, read from the environment once."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError

SHARED = Path(__file__).resolve().parent.parent
REPOSITORY = "tutorops-lab"
"""First part of every image's name, and the label on everything that the lab creates."""
STORES = ("mysql", "mongodb", "redis")
"""What the data hosts can carry, in the order in which stores are moved."""


@dataclass(frozen=True)
class Settings:
    """One lab. Two with different prefixes, networks and subnets can run side by side."""

    prefix: str = "lab"
    network: str = "tutorops-lab"
    subnet: str = "172.29.10.0/24"
    data_hosts: int = 3
    tutor: str = "22.*"
    rows: int = 2000
    megabytes: int = 20
    stores: str = "mysql"
    mirror: str = "http://deb.debian.org/debian"
    cache: Path = Path.home() / ".cache" / "tutorops-lab"
    parallel: int = 2

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read TUTOROPS_LAB_<FIELD> for each field; what is absent or empty keeps its default."""
        chosen: dict[str, str | int | Path] = {}
        for name, default in cls.__dataclass_fields__.items():
            variable = f"TUTOROPS_LAB_{name.upper()}"
            text = environment.get(variable, "")
            if not text:
                continue
            if isinstance(default.default, int):
                if not text.isdigit():
                    raise LabError(f"{variable} is {text!r}; it must be a whole number.")
                chosen[name] = int(text)
            elif isinstance(default.default, Path):
                chosen[name] = Path(text).expanduser().absolute()
            else:
                chosen[name] = text
        settings = cls(**chosen)  # type: ignore[arg-type]
        settings.check()
        return settings

    def check(self) -> None:
        """Refuse what could not work, before anything is built."""
        try:
            network = ipaddress.ip_network(self.subnet)
        except ValueError as error:
            raise LabError(f"TUTOROPS_LAB_SUBNET is {self.subnet!r}: {error}.") from error
        if network.version != 4 or network.prefixlen != 24:
            raise LabError(f"TUTOROPS_LAB_SUBNET is {self.subnet!r}; the lab needs an IPv4 /24.")
        if not 0 <= self.data_hosts <= 20:
            raise LabError(f"TUTOROPS_LAB_DATA_HOSTS is {self.data_hosts}; it must be between 0 and 20.")
        if not set(self.store_names) <= set(STORES):
            raise LabError(f"TUTOROPS_LAB_STORES is {self.stores!r}; it must name some of {', '.join(STORES)}.")

    @property
    def store_names(self) -> list[str]:
        """The stores that the demonstration and the tests move; the inventory reads the same variable."""
        return self.stores.split(",")

    @property
    def app(self) -> str:
        """Name of the app server."""
        return f"{self.prefix}-app"

    @property
    def data(self) -> list[str]:
        """Names of the data hosts."""
        return [f"{self.prefix}-data-{number}" for number in range(1, self.data_hosts + 1)]

    @property
    def hosts(self) -> list[str]:
        """Names of all hosts, the app server first."""
        return [self.app, *self.data]

    def address(self, host: str) -> str:
        """The fixed address of a host: .10 for the app server, .11 and up for the data hosts."""
        first = ipaddress.ip_network(self.subnet).network_address
        return str(first + 10 + self.hosts.index(host))
