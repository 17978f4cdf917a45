"""Layer 7, for sidecar and waypoint: messages, codecs, routes, policy, balancing, filters, telemetry facts [pure].

Bytes, values and times go in; events, decisions and bytes come out. Sockets, clocks and chance are the role's.
"""

import hbone_py as hbone_py  # decides in which form modules of this package run, before the first is imported
