"""A build's own steps, and whatever the builder fetches for it: to public addresses, and nowhere else."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from hardware.runtimes import egress_policy
from tests.security.builds import BASE, build, build_each, canary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hardware.runtimes.docker import DockerRuntime
    from tests.security.builds import Canary

pytestmark = pytest.mark.docker

#: buildah goes on without what it cannot fetch from git; nothing of the builder's may come instead.
FROM_GIT = BASE + 'ADD https://HOST/m.git#main /x\nRUN test -z "$(ls -A /x)" && echo nothing came\n'
#: Dockerfiles that make the builder itself connect to HOST, as many ways as the grammar has.
SPELLINGS = [
    BASE + "ADD http://HOST/a /x\n",
    BASE + 'ADD "http://HOST/b" /x\n',
    BASE + 'ADD ht""tp://HOST/c /x\n',
    BASE + 'ADD --chown=0:0 ["http://HOST/d", "/x"]\n',
    BASE + 'ADD ["http://HOST/e", "/x"] tail\n',
    BASE + "ADD\thttp://HOST/f /x\n",
    BASE + "ARG A=http://HOST/g\nADD ${A} /x\n",
    "FROM spaceport/base:py3.11 AS a\nONBUILD ADD http://HOST/h /x\nFROM a\n",
    " # escape=`\n" + BASE + "ADD `\nhttp://HOST/i /x\n",
    BASE + "ADD \\\u00a0\nhttp://HOST/j /x\n",
    BASE + "ADD \\\v\nhttp://HOST/k /x\n",
    BASE + "ADD http://HOST/l.git /x\n",
    FROM_GIT,
    "FROM HOST/n\n",
    'FROM HO""ST/o\n'.replace('HO""ST', '127.0""0.1:PORT'),
    "FROM 127.0.0\\.1:PORT/p\n",
    "FROM\tHOST/q\n",
    BASE + "COPY --from=HOST/r / /x\n",
    BASE + "COPY --from=127.0.0\\.1:PORT/s / /x\n",
    BASE + "RUN --mount=type=bind,from=HOST/t,target=/x ls /x\n",
    "# syntax=HOST/u\n" + BASE + "RUN true\n",
    "ARG R=HOST\nFROM ${R}/v\n",
]


@pytest.fixture
def listener() -> Iterator[Canary]:
    with canary() as made:
        yield made


def test_no_spelling_makes_the_builder_fetch_from_this_machine(
    runtime: DockerRuntime, listener: Canary, tmp_path: Path
) -> None:
    here = f"127.0.0.1:{listener.port}"
    texts = [text.replace("HOST", here).replace("PORT", str(listener.port)) for text in SPELLINGS]
    logs = dict(zip(SPELLINGS, build_each(runtime, tmp_path, texts), strict=True))
    for text, (_, log) in logs.items():
        assert "canary" not in log, text
    assert "\nnothing came\n" in logs[FROM_GIT][1]
    assert listener.asked == []


def test_steps_of_a_build_reach_public_addresses_only(
    runtime: DockerRuntime, listener: Canary, tmp_path: Path
) -> None:
    hosts = sorted({
        "127.0.0.1", "169.254.77.77", "10.1.2.3", "172.17.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0",  # noqa: S104
        *egress_policy.own_addresses(),
    })  # fmt: skip
    code = (
        "import json, socket\n"
        "def reach(host, port):\n"
        "    try:\n"
        "        socket.create_connection((host, port), 5).close()\n"
        "        return 'reached'\n"
        "    except OSError as error:\n"
        "        return type(error).__name__\n"
        f"print('SEEN', json.dumps([reach(h, {listener.port}) for h in {hosts!r}]))\n"
        "print('V6', reach('2001:db8::1', 80), reach('::ffff:10.1.2.3', 80))\n"
        "print('OUT', reach('pypi.org', 443))\n"
    )
    socket.create_connection(("pypi.org", 443), 10).close()  # this machine can; so must a build
    (tmp_path / "probe.py").write_text(code)
    _, log = build(runtime, tmp_path, BASE + "COPY probe.py /tmp/probe.py\nRUN python /tmp/probe.py\n")
    [seen] = [line for line in log.splitlines() if line.startswith("SEEN")]
    assert set(json.loads(seen.removeprefix("SEEN"))) == {"ConnectionRefusedError"}, log
    assert "OUT reached" in log
    assert "V6 reached" not in log
    assert listener.asked == []


def test_the_operator_may_open_addresses_by_name_and_port() -> None:
    made = egress_policy.of_builds(
        networks=["10.213.0.0/20"], addresses=["203.0.113.9"], resolvers=["10.0.0.2"],
        index="http://10.0.0.5:3141/root/pypi", reaches=["10.1.2.0/24", "10.9.9.9:443"],
    )  # fmt: skip
    assert made["allow"] == [
        ["10.0.0.2", "udp", 53], ["10.0.0.2", "tcp", 53], ["10.0.0.5/32", "tcp", 3141],
        ["10.1.2.0/24", "tcp", 0], ["10.9.9.9/32", "tcp", 443],
    ]  # fmt: skip
    assert {"10.0.0.0/8", "10.213.0.0/20", "203.0.113.9"} < set(made["deny"])
