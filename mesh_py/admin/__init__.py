"""The proxy's own HTTP surfaces: 15000 admin, 15020 metrics, 15021 readiness (hbone-controlplane 7).

The modules named `*_server` load aiohttp, a third of a second of start-up: import them where they are used.
"""
