"""Which requests the admin surface takes: those a person or tool of this machine meant for it [pure].

It listens on localhost, yet a browser on this machine reaches localhost too. A page of anybody's may send it a POST
(the Origin header tells), and a page whose name its owner resolves to 127.0.0.1 may even read the answers (the Host
header tells: it carries that name). Both would hand the mesh's state and an off switch to a web site. A picture on a
page is a GET without Origin, which can read nothing and yet switch something on (the Sec-Fetch-Site header tells).
"""

from __future__ import annotations

from hbone_py.address import is_loopback_host


def is_loopback_authority(authority: str) -> bool:
    """Whether `host` or `host:port` names this machine: localhost, 127.0.0.0/8 or ::1."""
    return is_loopback_host(_host(authority))


def is_meant_for_us(host: str | None, origin: str | None, fetch_site: str | None = None) -> bool:
    """Whether a request with these headers may be answered; only the first is there when no browser sent it."""
    if fetch_site == "cross-site":
        return False
    if host is not None and not is_loopback_authority(host):
        return False
    return origin is None or is_loopback_authority(origin.partition("://")[2])


def _host(authority: str) -> str:
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]
