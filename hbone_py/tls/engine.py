"""`TlsEngine`, the one name others use: direct calls to OpenSSL where possible, public ones elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.tls import openssl

if TYPE_CHECKING or openssl.IS_COMPLETE:
    from hbone_py.tls.direct import DirectEngine as TlsEngine
else:
    from hbone_py.tls.public import PublicEngine as TlsEngine

__all__ = ["TlsEngine"]
