"""Which proxy the environment names."""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass

from headgate.execute.transport import is_loopback


def proxy_for(scheme: str, host: str) -> str | None:
    """Return the proxy that the environment names for a host; none for this machine."""
    if is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(scheme) or proxies.get("all")
