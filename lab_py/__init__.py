"""A mesh on one machine: applications, nodes and pods to try the proxies with.

The lab starts the proxies as processes; it imports none of them.
"""
