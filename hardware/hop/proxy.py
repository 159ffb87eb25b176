"""Caddy on a node that joined: it takes connections with the platform's certificate, and passes each request
to the replica that its header names, if that runs here. https://caddyserver.com/docs/caddyfile

Which replicas run here, and where they listen, is a folder that Caddy looks into with each request, so that
nothing is loaded anew, and no connection ends, when one comes or goes. Caddy outlives the node's worker, as
replicas do: the next worker goes on with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from hardware.hop.addresses import PROXY_HEADER, REPLICA_HEADER, NodeAddress, split
from hardware.hop.caddy import program
from infra.folders import private

if TYPE_CHECKING:
    from hardware.trust.membership import Files, Membership

REMEDY = "A node that joined needs Caddy: `pip install -r requirements-tls.txt` installs it."
#: Calls that run may go on this long under a certificate that was replaced.
GRACE = "1h"
COMMAND_S = 20.0

FILE = """\
{{
	admin unix/{socket}
	persist_config off
	auto_https off
	skip_install_trust
	storage file_system "{folder}"
	grace_period {grace}
	log {{
		level WARN
	}}
	servers {{
		protocols h1
		strict_sni_host insecure_off
		enable_full_duplex
	}}
}}

(replica) {{
	header_up -{replica}
	header_up -Via
	header_down -{proxy}
	stream_close_delay {grace}
	transport http {{
		compression off
		dial_timeout 5s
	}}
}}

https://:{port} {{
	tls "{certificate}" "{key}" {{
		protocols tls1.3
		client_auth {{
			mode require_and_verify
			trust_pool file "{authority}"
		}}
	}}
	@runs {{
		header_regexp {replica} ^[0-9]{{1,18}}$
		file {{
			root "{replicas}/{{http.request.header.{replica}}}"
			try_files /*
		}}
	}}
	handle @runs {{
		header -Via
		map {{file_match.relative}} {{listens}} {{
			~^/?([0-9.:\\[\\]a-f]+)$ "${{1}}"
		}}
		@visitor header X-Forwarded-Host *
		reverse_proxy @visitor {{listens}} {{
			import replica
			header_up X-Forwarded-For {{http.request.header.X-Forwarded-For}}
			header_up X-Forwarded-Proto {{http.request.header.X-Forwarded-Proto}}
			header_up X-Forwarded-Host {{http.request.header.X-Forwarded-Host}}
		}}
		reverse_proxy {{listens}} {{
			import replica
			header_up -X-Forwarded-For
			header_up -X-Forwarded-Proto
			header_up -X-Forwarded-Host
		}}
	}}
	handle {{
		header {proxy} absent
		respond 404
	}}
	handle_errors {{
		header {proxy} unreachable
		respond 502
	}}
}}
"""


class Proxy:
    """That of this node."""

    def __init__(self, files: Files, membership: Membership) -> None:
        self._membership, self._files = membership, files
        self._folder = files.folder / "proxy"
        self._replicas = self._folder / "replicas"
        self._socket = self._folder / "admin.sock"
        self._config = self._folder / "Caddyfile"
        self._pid = self._folder / "pid"
        self._process: subprocess.Popen[bytes] | None = None

    # --- which replicas run here ------------------------------------------------------------------

    def offer(self, replica_id: int, local: str) -> str:
        """Pass requests on to this replica from now on; answers its address for others."""
        folder = private(self._replicas) / str(replica_id)
        folder.mkdir(exist_ok=True)
        for listed in self._replicas.glob("*/*"):  # a port that was freed is another one's now
            if (listed.name == local) != (listed.parent == folder):
                listed.unlink(missing_ok=True)
        (folder / local).touch()
        there = self._membership
        return str(NodeAddress(there.address, there.label, str(replica_id), local))

    def offered(self) -> set[int]:
        """The replicas that requests are passed on to."""
        return {int(folder.name) for folder in self._replicas.glob("*")}

    def withdraw(self, replica_id: int) -> None:
        """Pass on nothing to this one any more."""
        shutil.rmtree(self._replicas / str(replica_id), ignore_errors=True)

    # --- its process ------------------------------------------------------------------------------

    def ensure(self) -> None:
        """Start it, unless it runs.

        Raises:
            CaddyMissing
        """
        if self._process is not None and self._process.poll() is not None:
            self._process = None  # it has ended
        if self._process is None and not self._answers():
            self._socket.unlink(missing_ok=True)
            self._write()
            with (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603
                    [program(REMEDY), "run", "--adapter", "caddyfile", "--config", str(self._config),
                     "--pidfile", str(self._pid)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip

    def renew(self) -> None:
        """It uses the new certificate for new connections; the others go on."""
        self._write()
        command = [program(REMEDY), "reload", "--adapter", "caddyfile", "--config", str(self._config)]
        with contextlib.suppress(subprocess.TimeoutExpired):  # it goes on by itself
            subprocess.run(  # noqa: S603
                [*command, "--force", "--address", f"unix/{self._socket}"],
                timeout=COMMAND_S, check=False, capture_output=True,
            )  # fmt: skip

    def stop(self) -> None:
        """End it at once, with its connections: asked to, it would let them go on."""
        with contextlib.suppress(OSError, ValueError):
            pid = int(self._pid.read_text())
            if str(self._config).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self._socket))
            except OSError:
                return False
            return True

    def _write(self) -> None:
        private(self._replicas)
        text = FILE.format(
            socket=self._socket,
            folder=self._folder,
            grace=GRACE,
            port=split(self._membership.address)[1],
            certificate=self._files.certificate,
            key=self._files.key,
            authority=self._files.authority,
            replicas=self._replicas,
            replica=REPLICA_HEADER,
            proxy=PROXY_HEADER,
        )
        self._config.write_text(text)
