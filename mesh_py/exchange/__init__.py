"""HTTP over sockets: connections of clients and to servers, and requests carried from the ones to the others."""

import hbone_py as hbone_py  # decides in which form modules of this package run, before the first is imported
