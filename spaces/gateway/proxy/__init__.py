"""One exchange between a visitor and a container, or a repository's file: bytes, headers and cookies. Rights
and queues are other modules' matter.

Runs in web processes."""
