"""The real `hf` command, in a fork of a process that has imported it: to import it takes as long as most
calls do."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import wait_until

LONGEST_S = 120
#: Each call is a process of its own, as it is for people; its parent says how it ended.
SERVER = """
import json, os, signal, socket, sys
from huggingface_hub.cli import download, repos, spaces, upload
from huggingface_hub.cli.hf import main
door = socket.socket(socket.AF_UNIX)
door.bind(sys.argv[1] + ".new")
door.listen()
os.rename(sys.argv[1] + ".new", sys.argv[1])
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    connection, _ = door.accept()
    if os.fork():
        connection.close()
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    order = json.loads(connection.makefile().readline())
    child = os.fork()
    if child:
        connection.sendall(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
        os._exit(0)
    connection.close()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, order["stdout"]), (2, order["stderr"])):
        os.dup2(os.open(path, os.O_WRONLY), number)
    if order["token"]:
        os.environ["HF_TOKEN"] = order["token"]
    sys.argv = ["hf", *order["arguments"]]
    sys.exit(main())
"""


@dataclass
class ForkedHf:
    """The command with this environment."""

    env: dict[str, str]
    door: Path
    server: subprocess.Popen[bytes] | None = None

    def __call__(self, token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it with this token ("" for none)."""
        if self.server is None:
            self.server = subprocess.Popen(
                [sys.executable, "-c", SERVER, str(self.door)],
                env={name: value for name, value in self.env.items() if name != "HF_TOKEN"},
            )
            wait_until(self.door.exists, "hf is imported")
        with (
            tempfile.NamedTemporaryFile() as stdout,
            tempfile.NamedTemporaryFile() as stderr,
            socket.socket(socket.AF_UNIX) as connection,
        ):
            order = {"arguments": arguments, "token": token, "stdout": stdout.name, "stderr": stderr.name}
            connection.settimeout(LONGEST_S)
            connection.connect(str(self.door))
            connection.sendall(f"{json.dumps(order)}\n".encode())
            code = int(connection.recv(10))
            return subprocess.CompletedProcess(
                ["hf", *arguments], code, stdout.read().decode(), stderr.read().decode()
            )

    def end(self) -> None:
        if self.server is not None:
            self.server.kill()
            self.server.wait()
