"""Which certificates a process uses: the first that its settings name (docs/configuration.md has the order)."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from mesh_py.identity.sources import choose_source
from mesh_py.identity.store import CertificateStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.tls.context import TlsSettings
    from mesh_py.identity.ca_client import CaSettings
    from mesh_py.identity.certificates import Certificates
    from mesh_py.identity.local_ca import LocalCa
    from mesh_py.identity.sources import CertificateSettings, Clock

log = logging.getLogger(__name__)


def open_certificates(
    settings: CertificateSettings,
    tls: TlsSettings,
    clock: Clock,
    *,
    fake_ca: Callable[[], LocalCa],
    embedded_ca: LocalCa | None = None,
    mark: int | None = None,
) -> Certificates:
    """An authority elsewhere if one is named; else files, folder, fake CA, embedded default: see `choose_source`.

    :param mark: SO_MARK of connections to the authority, so that redirection leaves them alone.
    :raises TlsConfigError: none is named, one is half named, or files that are read once for all cannot be used.
    """
    if settings.ca is not None:
        return _remote(settings.ca, tls, clock, mark)
    return CertificateStore(choose_source(settings, clock, fake_ca=fake_ca, embedded_ca=embedded_ca), tls, clock)


def _remote(ca: CaSettings, tls: TlsSettings, clock: Clock, mark: int | None) -> Certificates:
    # gRPC takes a while to load, and most tests and trials do without.
    from mesh_py.identity.ca_client import CaClient
    from mesh_py.identity.remote_store import RemoteStore
    from mesh_py.rpc.dial import RPC_OPTIONS

    log.info("certificates are signed by the authority at %s", ca.endpoint.address)
    if ca.endpoint.token is None:
        log.warning("the authority at %s is shown no token: set AUTH_TOKEN unless it wants none", ca.endpoint.address)
    return RemoteStore(CaClient(ca, tls, clock, dataclasses.replace(RPC_OPTIONS, mark=mark)), tls, clock)
