"""Addresses as text: which of them are this machine's own, and how one is written with its port [pure]."""

from __future__ import annotations

import ipaddress


def is_loopback(ip: str) -> bool:
    """Whether an IP address, in its canonical form, is one that only this machine reaches: 127.0.0.0/8 or ::1."""
    return ip.startswith("127.") or ip == "::1"


def is_loopback_host(host: str) -> bool:
    """Whether only this machine answers under a name, or at an IP address in any of its forms."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def format_address(host: str, port: int) -> str:
    """`host:port`, with brackets around IPv6: the form of CONNECT authorities and logs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
