"""Which proxy the environment names."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from headgate.execute.transport import Target


def proxy_for(target: Target) -> str | None:
    """Return the proxy that the environment names for a target; none for this machine."""
    if target.is_loopback:
        return None
    parts = urlsplit(target.url)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
