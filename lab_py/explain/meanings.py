"""What follows when a piece is missing: a sentence by its name (redirection a, b, c, d.8) [pure]."""

from __future__ import annotations

MEANINGS = {
    "P8": "what conntrack knows to be ztunnel's is not marked 0x40: it goes through the tunnel again, or to the pod",
    "P9": "what is marked 0x40 goes on through the chain and is marked again",
    "P10": "what ztunnel sends with a borrowed address is not marked 0x210, so conntrack never learns that it is owed",
    "P12": "what ztunnel sends as itself is not marked, and may be captured again",
    "P15": "connections of ambient pods are not marked 0x100, so nothing captures them",
    "F1": "conntrack does not remember what is to be left alone",
    "F2": "conntrack does not remember 0x210: what is owed to ztunnel goes through the tunnel again, or to the pod",
    "I2": "conntrack does not remember 0x210 of what is for the node itself",
    "O1": "the node's own calls are not marked 0x220, so its health probes go through ztunnel and hang",
    "N1": "kube-proxy translates the virtual address before ztunnel has seen it",
    "N2": "what goes into the tunnel may be masqueraded",
    "Z1": "HBONE out of the tunnel does not come to 15008",
    "Z2": "what comes out of the tunnel is given to no listener: the ztunnel pod drops it",
    "Z3": "plaintext out of the tunnel does not come to 15006",
    "Z4": "what comes by eth0 for others is not marked 0x4d3, so the ztunnel pod does not take it for its own",
    "rule-100": "what is marked 0x200 is not left alone: ztunnel's own connection to the pod comes back to it",
    "rule-101": "what is marked 0x100 is routed like anything else, and nobody has a route to a virtual address",
    "rule-102": "what is owed to ztunnel (0x40) is routed like anything else",
    "rule-103": "nothing looks into table 100, so what is for an ambient pod goes straight to it",
    "rule-20000": "what TPROXY has marked 0x400 is not local in the ztunnel pod, so it is dropped",
    "rule-20003": "what is marked 0x4d3 is not local in the ztunnel pod, so it is dropped",
    "rule-32764": "the application's answer (0x111) leaves the pod for the caller, who never asked it",
    "table-101": "rule 101 finds no route into the tunnel",
    "table-102": "rule 102 finds no route to ztunnel",
    "pod-table-100": "nothing is local to the ztunnel pod but its own address",
    "inpod-table-100": "rule 32764 finds no route that keeps the answer in the pod",
    "B-IN-REDIRECT": "what comes for the pod is not given to its sidecar",
    "B-INBOUND": "what comes for the pod is not given to its sidecar",
    "B-PREROUTING": "nothing that comes for the pod meets the sidecar's rules",
    "B-REDIRECT": "what leaves the application is not given to its sidecar",
    "B-OUTPUT": "nothing that leaves the application meets the sidecar's rules",
    "B2": "the sidecar's call to its application is taken for new traffic",
    "B5": "the sidecar's own connections are captured again (by uid)",
    "B8": "the sidecar's own connections are captured again (by gid)",
    "B10": "what leaves the application is not given to its sidecar",
    "C1": "conntrack does not learn that ztunnel called, so the application's answer leaves the pod",
    "C2": "the application's answer does not get its mark back, so it leaves the pod",
    "C4": "plaintext that comes for the pod is not given to ztunnel",
    "C6": "the application's answer may be captured as if it were a new connection",
    "C8": "what leaves the application is not given to ztunnel",
    "C-NAT-OUTPUT": "nothing that leaves the application meets the pod's rules",
    "C-NAT-PREROUTING": "nothing that comes for the pod meets its rules",
    "C-MANGLE-PREROUTING": "conntrack does not learn that ztunnel called, so the application's answer leaves the pod",
    "C-MANGLE-OUTPUT": "the application's answer does not get its mark back, so it leaves the pod",
    "C-PROBE": "the node's health probe does not carry the address that pods know it by: ztunnel takes it for a call",
    "C-POSTROUTING": "the node's health probe does not carry the address that pods know it by",
    "rp_filter": "the kernel drops what comes by another device than the way back would take",
    "accept_local": "the kernel drops what carries one of its own addresses",
    "ip_forward": "the node does not forward",
}


def meaning_of(piece: str) -> str:
    """The sentence; of a pod's route in table 100 too."""
    if piece.startswith("table-100-") and piece != "table-100-zt":
        return "what is for the pod does not go into the tunnel, but straight to it"
    return MEANINGS.get(piece, "the design has it")
