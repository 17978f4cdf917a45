"""The mesh: what the proxies share beside the tunnel itself.

`model` holds plain values, `discovery` knows who is where and decides routes, `policy` decides who may
connect. These three are pure: no sockets, no clock, no environment.
"""
