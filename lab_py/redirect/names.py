"""Names, numbers and marks that redirection and proxies agree on (redirection a.1, b, c) [pure]."""

from __future__ import annotations

IN, OUT = "istioin", "istioout"
"""The node's ends of the tunnels to its ztunnel pod."""
POD_IN, POD_OUT = "pistioin", "pistioout"
"""The pod's ends."""
VNI_IN, VNI_OUT = 1000, 1001
GENEVE_PORT = 6081
TUNNEL_MTU = 1450
"""The underlay's 1500 less what Geneve adds on IPv4 (redirection e)."""
IN_IP, POD_IN_IP = "192.168.126.1", "192.168.126.2"
OUT_IP, POD_OUT_IP = "192.168.127.1", "192.168.127.2"

ZTUNNEL_DEVICE = "v-zt"
"""The node's end of the ztunnel pod's devices."""
POD_SET = "ztunnel-pods-ips"

OUTBOUND_PORT, PLAINTEXT_PORT, HBONE_PORT = 15001, 15006, 15008
PROXY_ID = 1337
"""The uid and gid of a sidecar; where no such uid is mapped, the mark of its sockets."""

OUTBOUND = "0x100/0x100"
SKIP = "0x200/0x200"
CONN_SKIP = "0x220/0x220"
PROXY = "0x210/0x210"
PROXY_RETURN = "0x40/0x40"
TPROXY = "0x400/0xfff"
ORIGINAL_SOURCE = "0x4d3/0xfff"
PROXY_MARK = "0x539/0xfff"
"""1337 as a mark (redirection c, d.7)."""
