"""Caddy in front of the web processes: certificates, https, and nothing else. https://caddyserver.com/docs

It has a certificate for the platform's host from the start, and gets one for a demo's host with its first
visitor, if `spaceport.certificates` knows that host."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.conf import settings

from hardware.hop.caddy import program
from infra.folders import private
from spaceport import certificates

if TYPE_CHECKING:
    from pathlib import Path

HSTS_S = 365 * 24 * 3600
#: Long streams end with the platform.
GRACE_S = 2

FILE = """\
{{
	admin off
	persist_config off
	skip_install_trust
	{redirects}
	https_port {port}
	grace_period {grace_s}s
	storage file_system "{home}"
	on_demand_tls {{
		ask http://127.0.0.1:{web}/{ask}
	}}
}}

(web) {{
	{hsts}
	reverse_proxy 127.0.0.1:{web}
}}

https://{host} {{
	tls {{
		{issuer}
	}}
	import web
}}

https://*.{demo_domain} {{
	tls {{
		{issuer}
		on_demand
	}}
	import web
}}
"""


def caddyfile(address: str, *, web: int, demo_domain: str, home: Path, ask: str) -> str:
    """Caddy's configuration for https at `address` ("host" or "host:port") in front of the port `web`. Its
    own authority vouches for localhost, a public one for all else."""
    host, _, port = address.partition(":")
    is_local = host == "localhost"
    return FILE.format(
        # On another port than 443 nobody comes by http.
        redirects="" if port in ("", "443") else "auto_https disable_redirects",
        port=port or 443,
        grace_s=GRACE_S,
        home=home,
        web=web,
        ask=ask,
        # A browser would keep to it for whatever else is on localhost.
        hsts="" if is_local else f"header ?Strict-Transport-Security max-age={HSTS_S}",
        host=host,
        issuer="issuer internal" if is_local else "issuer acme",
        demo_domain=demo_domain,
    )


def command() -> list[str]:
    """What runs Caddy as SPACEPORT_TLS says; its configuration is written first.

    Raises:
        CaddyMissing
    """
    caddy = program("SPACEPORT_TLS needs Caddy: `make up TLS=…` installs it.")
    home = private(settings.SPACEPORT_HOME / "caddy")
    file = home / "Caddyfile"
    file.touch(mode=0o600)  # the token of `ask` is in it
    text = caddyfile(
        settings.SPACEPORT_TLS,
        web=settings.PORT,
        demo_domain=settings.SPACEPORT_DEMO_DOMAIN,
        home=home,
        ask=f"{certificates.PATH}?{urlencode({'token': certificates.token()})}",
    )
    file.write_text(text)
    return [caddy, "run", "--adapter", "caddyfile", "--config", str(file)]
