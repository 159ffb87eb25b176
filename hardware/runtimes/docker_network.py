"""The networks of containers. Spaces without a way out have one that leads nowhere: the host reaches them,
they reach nobody. The others have one for each egress policy. Builds have one that leads out, but not to the
host and not to each other."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import os
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
import docker.types

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker.models.networks import Network


Subnet = ipaddress.IPv4Network

#: Where our networks may lie: the first place that overlaps nothing on this machine is taken.
RANGES = tuple(ipaddress.IPv4Network(f"10.{second}.0.0/16") for second in range(213, 250))
RUN_PREFIX = 20
LIST_PREFIX = 24
#: Labels of networks that lead out: the installation, its policy, its bridge.
INSTALLATION, EGRESS, BRIDGE = "spaceport.installation", "spaceport.egress", "spaceport.bridge"
BUILD_PREFIX = 26
#: The gateway and a few more; the rest are replicas' addresses.
RESERVED = 16
REMOVE_ATTEMPTS = 40


def ensure_run_network(client: docker.DockerClient, installation: str) -> tuple[str, Subnet]:
    """The network of this installation's running Spaces, made when missing; its name and addresses."""
    return _ensure(client, f"spaceport-{installation}", f"sp-{installation}", RUN_PREFIX, leads_out=False)


def ensure_way_out(client: docker.DockerClient, installation: str, policy: str) -> tuple[str, str, Subnet]:
    """The network of Spaces with this egress policy ("web", or a list), made when missing: its name, bridge
    and addresses. The host's packet filter must enclose it before anything runs there."""
    mark = (
        installation
        if policy == "web"
        else hashlib.sha256(f"{installation} {policy}".encode()).hexdigest()[:8]
    )
    name, bridge = f"spaceport-out-{mark}", f"spo-{mark}"
    network = _find(client, name)
    if network is None:
        _remove_unused(client, installation)
        labels = {INSTALLATION: installation, EGRESS: policy, BRIDGE: bridge}
        prefix = RUN_PREFIX if policy == "web" else LIST_PREFIX
        network = _create(client, name, bridge, prefix, leads_out=True, labels=labels)
    return name, bridge, ipaddress.IPv4Network(network["IPAM"]["Config"][0]["Subnet"])


def ways_out(client: docker.DockerClient, installation: str) -> dict[str, str]:
    """The bridges of this installation's networks that lead out, and the policy of each."""
    networks = client.api.networks(filters={"label": f"{INSTALLATION}={installation}"})
    return {n["Labels"][BRIDGE]: n["Labels"][EGRESS] for n in networks if EGRESS in n["Labels"]}


def _remove_unused(client: docker.DockerClient, installation: str) -> None:
    """Remove networks of lists that no container uses: each list that was ever written made one."""
    unused = [
        network
        for network in client.networks.list(filters={"label": f"{INSTALLATION}={installation}"})
        if network.attrs["Labels"].get(EGRESS, "web") != "web" and not network.attrs.get("Containers")
    ]
    for network in unused:
        with contextlib.suppress(docker.errors.APIError):  # in use after all
            network.remove()


def ensure_build_network(client: docker.DockerClient, installation: str) -> str:
    """The name of the network of this installation's builds, made when missing."""
    return _ensure(
        client, f"spaceport-build-{installation}", f"spb-{installation}", BUILD_PREFIX, leads_out=True
    )[0]


def remove_networks(client: docker.DockerClient, installation: str) -> None:
    """Remove its networks and their rules; containers must be gone."""
    for network in client.networks.list(filters={"label": f"{INSTALLATION}={installation}"}):
        _remove(network)
    for name, bridge in (
        (f"spaceport-{installation}", f"sp-{installation}"),
        (f"spaceport-build-{installation}", f"spb-{installation}"),
    ):
        with contextlib.suppress(docker.errors.NotFound):
            _remove(client.networks.get(name))
        for rule in _rules(bridge):
            if _iptables("-C", rule):
                _iptables("-D", rule)


def _remove(network: Network) -> None:
    """Remove it; a build that was cut a moment ago may still be leaving."""
    for attempt in range(REMOVE_ATTEMPTS):
        try:
            network.remove()
        except docker.errors.NotFound:
            return
        except docker.errors.APIError:
            if attempt + 1 == REMOVE_ATTEMPTS:
                raise
            time.sleep(0.25)
        else:
            return


def addresses(subnet: Subnet, replica_id: int) -> Iterator[str]:
    """Addresses to try for this replica, the best first. They go round: a freed one comes back only after
    thousands of others, so that a stale route ends nowhere rather than at another Space."""
    count = subnet.num_addresses - RESERVED - 1
    for step in range(count):
        yield str(subnet[RESERVED + (replica_id + step) % count])


def _ensure(
    client: docker.DockerClient, name: str, bridge: str, prefix: int, *, leads_out: bool
) -> tuple[str, Subnet]:
    network = _find(client, name) or _create(client, name, bridge, prefix, leads_out=leads_out)
    _keep_from_host(bridge)
    return name, ipaddress.IPv4Network(network["IPAM"]["Config"][0]["Subnet"])


def _find(client: docker.DockerClient, name: str) -> dict[str, Any] | None:
    found = [network for network in client.api.networks(names=[name]) if network["Name"] == name]
    return found[0] if found else None


def _create(
    client: docker.DockerClient,
    name: str,
    bridge: str,
    prefix: int,
    *,
    leads_out: bool,
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    taken = _taken(client)
    last: Exception | None = None
    for subnet in (part for whole in RANGES for part in whole.subnets(new_prefix=prefix)):
        if any(subnet.overlaps(other) for other in taken):
            continue
        try:
            client.networks.create(
                name, driver="bridge", internal=not leads_out, check_duplicate=True,
                ipam=docker.types.IPAMConfig(
                    pool_configs=[docker.types.IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))]
                ),
                options={
                    "com.docker.network.bridge.name": bridge,
                    "com.docker.network.bridge.enable_icc": "false",
                },
                labels={"spaceport.network": name, **(labels or {})},
            )  # fmt: skip
        except docker.errors.APIError as error:
            if (there := _find(client, name)) is not None:  # another worker was faster
                return there
            last = error
            taken.append(subnet)
            if "overlap" not in str(error):
                raise
            continue
        if (made := _find(client, name)) is not None:
            return made
    raise docker.errors.DockerException(f"No free range of addresses for the network {name}: {last}")


def subnets(client: docker.DockerClient) -> list[Subnet]:
    """The ranges of all the engine's networks."""
    found = []
    for network in client.api.networks():
        for config in (network.get("IPAM") or {}).get("Config") or []:
            with contextlib.suppress(ValueError, KeyError):
                found.append(ipaddress.IPv4Network(config["Subnet"]))
    return found


def _taken(client: docker.DockerClient) -> list[Subnet]:
    """Ranges in use: by the engine's networks and by the host's routes."""
    found = subnets(client)
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/route").read_text().splitlines()[1:]:
            fields = line.split()
            address, mask = (
                socket.inet_ntoa(struct.pack("<L", int(fields[column], 16))) for column in (1, 7)
            )
            if mask != "0.0.0.0":  # noqa: S104  # the default route is no range
                found.append(ipaddress.IPv4Network(f"{address}/{mask}", strict=False))
    return found


def _rules(bridge: str) -> list[list[str]]:
    """Rules of the INPUT chain, in the order in which they must be inserted at its top."""
    drop = ["-i", bridge, "-m", "conntrack", "!", "--ctstate", "ESTABLISHED,RELATED", "-j", "DROP"]
    if bridge.startswith("spb-"):  # the host may be the resolver of builds
        return [
            drop,
            *(["-i", bridge, "-p", kind, "--dport", "53", "-j", "ACCEPT"] for kind in ("udp", "tcp")),
        ]
    return [drop]


def _keep_from_host(bridge: str) -> None:
    """An internal network still reaches every service the host offers on all its addresses; close that,
    where we may. Without the right to, the threat model names what stays open."""
    if os.geteuid() != 0 or shutil.which("iptables") is None:
        return
    for rule in _rules(bridge):
        if not _iptables("-C", rule):
            _iptables("-I", rule)


def _iptables(action: str, rule: list[str]) -> bool:
    if os.geteuid() != 0 or shutil.which("iptables") is None:
        return False
    command = ["iptables", "-w", "5", action, "INPUT", *rule]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603  # ours
