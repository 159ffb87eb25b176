"""The host's packet filter around the networks of Spaces that lead out.

The rules belong to the network's bridge, so they are there before a container is, and nothing in a container
can change them. They are put in place by this process where it may, else by a container of the engine."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import docker.errors

from hardware.runtimes import builder_image, docker_network, egress_policy
from hardware.runtimes.base import EngineUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    import docker

    from hardware.runtimes.egress_policy import Egress

ESTABLISHED = "-m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"
#: The engine's own rules stand in one of the two tables that a kernel may have; the first name is the usual.
CHOOSE = (
    "for ipt in iptables iptables-nft iptables-legacy none; do"
    " $ipt -w 5 -nL DOCKER-USER >/dev/null 2>&1 && break; done"
)
SECONDS = 60


class NoFirewall(EngineUnavailable):
    """The host's packet filter cannot be set."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Of each container: TCP connections at a time, and megabits a second each way. 0 is without bound."""

    connections: int = 0
    mbits: int = 0


def rules(bridge: str, egress: Egress, allow: list[list[Any]], deny: Iterable[str], bounds: Bounds) -> str:
    """The three chains of this bridge, as `iptables-restore` reads them: `f-` for what containers send
    through the host, `t-` for what is sent to them, `i-` for what they send to the host. `allow` is the
    operator's, and comes before `deny`."""
    lines = ["*filter", *(f":{kind}-{bridge} - [0:0]" for kind in "fti")]
    if bounds.mbits:
        for kind, mode in (("f", "srcip"), ("t", "dstip")):
            lines.append(
                f"-A {kind}-{bridge} -m hashlimit --hashlimit-above {bounds.mbits * 125}kb/s"
                f" --hashlimit-mode {mode} --hashlimit-name {kind}-{bridge} -j DROP"
            )
    for chain in (f"-A f-{bridge}", f"-A i-{bridge}"):
        lines += [f"{chain} {ESTABLISHED}", *(f"{chain} {_to(*one)} -j RETURN" for one in allow)]
    lines += [f"-A f-{bridge} -d {network} -j REJECT" for network in deny]
    if bounds.connections:
        lines.append(
            f"-A f-{bridge} -p tcp --syn -m connlimit --connlimit-above {bounds.connections}"
            " --connlimit-mask 32 -j REJECT --reject-with tcp-reset"
        )
    if egress.web:
        ports = ",".join(map(str, egress_policy.WEB_PORTS))
        lines.append(f"-A f-{bridge} -p tcp -m multiport --dports {ports} -j RETURN")
    lines += [f"-A f-{bridge} {_to(*one)} -j RETURN" for one in egress_policy.opened(egress.targets)]
    return "\n".join([*lines, f"-A f-{bridge} -j REJECT", f"-A i-{bridge} -j REJECT", "COMMIT", ""])


def _to(network: str, protocol: str, port: int) -> str:
    return f"-d {network} -p {protocol}" + (f" --dport {port}" if port else "")


def enclose(
    client: docker.DockerClient, bridge: str, egress: Egress, reaches: list[str], bounds: Bounds
) -> None:
    """Let containers on this bridge connect to what `egress` and `reaches` open, within `bounds`, and to
    nothing else. Calling it again renews the rules, in one step.

    Raises:
        NoFirewall
    """
    allow = [*egress_policy.for_names(egress_policy.resolvers()), *egress_policy.opened(reaches)]
    deny = [
        *egress_policy.PRIVATE,
        *sorted({*map(str, docker_network.subnets(client)), *egress_policy.own_addresses()}),
    ]
    text = rules(bridge, egress, allow, deny, bounds)
    steps = [
        CHOOSE,
        f"$ipt-restore -w 5 --noflush <<'END'\n{text}END",
        *_once("$ipt", "INPUT", f"-i {bridge} -j i-{bridge}"),
        *_once("$ipt", "DOCKER-USER", f"-i {bridge} -j f-{bridge}"),
        *_once("$ipt", "DOCKER-USER", f"-o {bridge} -j t-{bridge}"),
        # Nothing comes in but from the host itself, whose packets are not forwarded.
        *_once("$ipt", "DOCKER-USER", f"-o {bridge} -m conntrack --ctstate NEW -j DROP"),
        "[ -e /proc/net/if_inet6 ] || exit 0",
        *_once("ip6tables", "INPUT", f"-i {bridge} -j DROP"),
        *_once("ip6tables", "FORWARD", f"-i {bridge} -j DROP"),
    ]
    _run(client, ["set -e", *steps])


def remove(client: docker.DockerClient, bridges: list[str]) -> None:
    """Remove the rules of these bridges. No error where there are none, or they cannot be removed."""
    steps = [CHOOSE]
    for bridge in bridges:
        steps += [
            f"$ipt -w 5 -D INPUT -i {bridge} -j i-{bridge}",
            f"$ipt -w 5 -D DOCKER-USER -i {bridge} -j f-{bridge}",
            f"$ipt -w 5 -D DOCKER-USER -o {bridge} -j t-{bridge}",
            f"$ipt -w 5 -D DOCKER-USER -o {bridge} -m conntrack --ctstate NEW -j DROP",
            *(f"$ipt -w 5 -F {kind}-{bridge}; $ipt -w 5 -X {kind}-{bridge}" for kind in "fti"),
            f"ip6tables -w 5 -D INPUT -i {bridge} -j DROP",
            f"ip6tables -w 5 -D FORWARD -i {bridge} -j DROP",
        ]
    if bridges:
        _run(client, [*steps, "true"])


def _once(command: str, chain: str, rule: str) -> list[str]:
    command = f"{command} -w 5"
    return [f"{command} -C {chain} {rule} 2>/dev/null || {command} -I {chain} {rule}"]


def _run(client: docker.DockerClient, steps: list[str]) -> None:
    script = "\n".join(steps)
    if os.geteuid() == 0 and shutil.which("iptables"):
        done = subprocess.run(  # noqa: S603  # our own script
            ["/bin/sh", "-c", script], capture_output=True, text=True, check=False, timeout=SECONDS
        )
        if done.returncode:
            raise NoFirewall(f"The packet filter cannot be set: {done.stderr.strip()}")
        return
    try:
        client.containers.run(
            builder_image.ensure(client, lambda _line: None), ["-c", script], entrypoint=["/bin/sh"],
            network_mode="host", cap_drop=["ALL"], cap_add=["NET_ADMIN", "NET_RAW"], remove=True,
        )  # fmt: skip
    except docker.errors.DockerException as error:
        raise NoFirewall(f"The packet filter cannot be set: {error}") from error
