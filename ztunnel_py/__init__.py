"""The node proxy, layer 4 only: it carries the connections of a node's workloads through HBONE tunnels.

`python -m ztunnel_py`. README.md shows it at work, docs/configuration.md lists what can be set.
"""
