"""What a Space's own Dockerfile may say."""

from __future__ import annotations

import pytest

from hardware.runtimes.base import BuildFailed
from hardware.runtimes.dockerfile_policy import check, parse


@pytest.mark.parametrize(
    "text",
    [
        "FROM python:3.11-slim\nCOPY . /app\nCMD python /app/main.py\n",
        "FROM spaceport/base:py3.11\nADD data.tar.gz /data\n",
        "ARG VERSION=3.12\nFROM python:${VERSION}-slim AS build\nRUN make\nFROM scratch\n"
        "COPY --from=build /a /a\n",
        "FROM docker.io/library/debian:12 AS one\nFROM one\nCOPY --from=0 /a /b\n",
        "# a comment\n\nfrom node:20\nrun npm ci \\\n  && npm run build\n",
        "FROM ghcr.io/owner/image@sha256:" + "a" * 64 + "\nRUN curl -O https://example.org/model.bin\n",
    ],
)
def test_ordinary_dockerfiles_pass(text: str) -> None:
    check(text, base_image="spaceport/base")


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("FROM debian\nADD http://127.0.0.1:6379/ /x\n", 2, "may not fetch"),
        ("FROM debian\nADD --chown=1:1 https://example.org/x /x\n", 2, "may not fetch"),
        ('FROM debian\nADD ["https://example.org/x", "/x"]\n', 2, "may not fetch"),
        ("FROM debian\nADD git@github.com:a/b.git /x\n", 2, "may not fetch"),
        ("FROM debian\nARG URL=http://x\nADD ${URL} /x\n", 3, "variable"),
        ("FROM debian\nADD \\\n  http://localhost/ /x\n", 2, "may not fetch"),
        ("FROM 127.0.0.1:5000/x\n", 1, "may not come from"),
        ("FROM localhost/x\n", 1, "may not come from"),
        ("ARG REGISTRY=10.0.0.1\nFROM ${REGISTRY}/x\n", 2, "may not come from"),
        ("FROM $IMAGE\n", 1, "without a default"),
        ("FROM spaceport/space-1a2b3c4d-7:0123456789ab\n", 1, "belongs to the platform"),
        ("FROM docker.io/spaceport/space-1a2b3c4d-7:0123456789ab\n", 1, "belongs to the platform"),
        ("FROM debian\nCOPY --from=spaceport/space-1-7:0 /opt/app /stolen\n", 2, "belongs to the platform"),
        ("FROM ba572c572943\n", 1, "not by its id"),
        ("FROM debian\nCOPY --from=sha256:ba572c572943 / /\n", 2, "not by its id"),
        ("# syntax=example.org/frontend\nFROM debian\n", 1, "directive"),
        ("FROM\n", 1, "needs the name"),
    ],
)
def test_what_would_use_the_engine_against_its_host_is_refused_by_line(
    text: str, line: int, reason: str
) -> None:
    with pytest.raises(BuildFailed, match=rf"line {line}: .*{reason}"):
        check(text, base_image="spaceport/base")


def test_continued_lines_are_one_instruction() -> None:
    [first, second] = parse("FROM a\nRUN one \\\n# between\n  two\n")
    assert (first.line, first.name) == (1, "FROM")
    assert (second.line, second.arguments.split()) == (2, ["one", "two"])
