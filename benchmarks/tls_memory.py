"""TLS in memory, no sockets: our engine beside its public-call twin and the standard library's `ssl`.

    python -m benchmarks.tls_memory [--rounds 40] [--json]

Writing is plaintext to ciphertext in a shared buffer, reading the way back; the least of all rounds counts, and the
rounds alternate, since a noisy machine only ever adds. Decided with it: docs/decisions/0004-tls-library.md.
"""

from __future__ import annotations

import ctypes
import json
import resource
import ssl
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import click
import OpenSSL
from OpenSSL import SSL

from hbone_py.tls.buffers import SharedBuffer
from hbone_py.tls.context import TlsContext, TlsSettings, client_context, server_context
from hbone_py.tls.credentials import Credentials
from hbone_py.tls.direct import DirectEngine
from hbone_py.tls.public import PublicEngine
from tests.support.certificates import make_mesh_certificates

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.certificates import CertificateFiles, MeshCertificates

SUITE = "TLS_AES_256_GCM_SHA384"
SIZES = {73: 200, 1024: 200, 16_384: 60, 98_304: 20, 245_760: 12}
"""Bytes of plaintext, and how many such messages a round has."""
PLAINTEXT = SharedBuffer(256 * 1024)
SCRATCH = SharedBuffer(320 * 1024)


class End(Protocol):
    """One end of TLS between shared buffers."""

    def handshake(self) -> bool: ...

    def write(self, size: int, ciphertext: SharedBuffer) -> int:
        """Encrypt the first bytes of `PLAINTEXT`; how much ciphertext there is."""

    def read(self, ciphertext: SharedBuffer, count: int) -> int:
        """Decrypt to `PLAINTEXT`; how much plaintext there is."""


class Ours:
    """Either of our engines."""

    def __init__(self, engine: DirectEngine | PublicEngine) -> None:
        self.engine = engine

    def handshake(self) -> bool:
        return self.engine.handshake()

    def write(self, size: int, ciphertext: SharedBuffer) -> int:
        if size:
            self.engine.write_shared(PLAINTEXT, size)
        return self.engine.take_ciphertext(ciphertext)

    def read(self, ciphertext: SharedBuffer, count: int) -> int:
        self.engine.feed_shared(ciphertext, count)
        return self.engine.read_into(PLAINTEXT) if self.engine.handshake_done else 0


class Lending(Ours):
    """The direct engine by `receive`."""

    def read(self, ciphertext: SharedBuffer, count: int) -> int:
        if not self.engine.handshake_done:
            return super().read(ciphertext, count)
        return self.engine.receive(ciphertext, count, PLAINTEXT)


class Stdlib:
    """The standard library, as tightly as it allows."""

    def __init__(self, context: ssl.SSLContext, *, is_server: bool) -> None:
        self._input, self._output = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._input, self._output, server_side=is_server)
        self._is_up = False

    def handshake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self._is_up = True
        return True

    def write(self, size: int, ciphertext: SharedBuffer) -> int:
        if size:
            self._tls.write(PLAINTEXT.view[:size])
        data = self._output.read()
        ciphertext.view[: len(data)] = data
        return len(data)

    def read(self, ciphertext: SharedBuffer, count: int) -> int:
        self._input.write(ciphertext.view[:count])
        total = 0
        try:
            while self._is_up:
                # With a buffer it returns a count, whatever typeshed says.
                total += cast("int", self._tls.read(PLAINTEXT.size - total, PLAINTEXT.view[total:]))
        except ssl.SSLWantReadError:
            pass
        return total


def ours(kind: type[Ours], engine: type[DirectEngine | PublicEngine]) -> Callable[[MeshCertificates], tuple[End, End]]:
    contexts: list[TlsContext] = []

    def make(certificates: MeshCertificates) -> tuple[End, End]:
        if not contexts:
            settings = TlsSettings(suites=(SUITE,))
            contexts.append(client_context(credentials(certificates.client), settings))
            contexts.append(server_context(credentials(certificates.server), settings))
        return kind(engine(contexts[0])), kind(engine(contexts[1]))

    return make


def credentials(files: CertificateFiles) -> Credentials:
    return Credentials.from_files(files.chain, files.key, files.roots)


def stdlib() -> Callable[[MeshCertificates], tuple[End, End]]:
    contexts: list[ssl.SSLContext] = []

    def make(certificates: MeshCertificates) -> tuple[End, End]:
        for purpose, files in (
            (ssl.PROTOCOL_TLS_CLIENT, certificates.client),
            (ssl.PROTOCOL_TLS_SERVER, certificates.server),
        ):
            if len(contexts) < 2:
                contexts.append(stdlib_context(purpose, files))
        return Stdlib(contexts[0], is_server=False), Stdlib(contexts[1], is_server=True)

    return make


def stdlib_context(purpose: int, files: CertificateFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(purpose)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(files.roots)
    context.load_cert_chain(files.chain, files.key)
    return context


CONTESTANTS = {
    "direct": ours(Ours, DirectEngine),
    "direct, lending": ours(Lending, DirectEngine),
    "public": ours(Ours, PublicEngine),
    "stdlib": stdlib(),
}


@dataclass
class Figure:
    """The least time of one contestant at one size, in microseconds a message."""

    name: str
    size: int
    write_us: float = float("inf")
    read_us: float = float("inf")

    def line(self) -> str:
        write, read = (self.size / us / 1000 for us in (self.write_us, self.read_us))
        return f"{self.name:16} {self.size:8} {self.write_us:9.2f} {self.read_us:9.2f} {write:8.2f} {read:8.2f}"


def connect(ends: tuple[End, End]) -> tuple[End, End]:
    client, server = ends
    for _ in range(3):
        for one, other in ((client, server), (server, client)):
            one.handshake()
            while count := one.write(0, SCRATCH):
                other.read(SCRATCH, count)
    return ends


def measure(ends: tuple[End, End], figure: Figure, stores: list[SharedBuffer]) -> None:
    sender, receiver = ends
    began = time.perf_counter()
    for store in stores:
        count = sender.write(figure.size, store)
    written = time.perf_counter()
    for store in stores:
        got = receiver.read(store, count)
    ended = time.perf_counter()
    assert got == figure.size
    figure.write_us = min(figure.write_us, (written - began) / len(stores) * 1e6)
    figure.read_us = min(figure.read_us, (ended - written) / len(stores) * 1e6)


def run_messages(certificates: MeshCertificates, rounds: int) -> list[Figure]:
    pairs = {name: connect(make(certificates)) for name, make in CONTESTANTS.items()}
    figures: list[Figure] = []
    for size, count in SIZES.items():
        stores = [SharedBuffer(size + size // 100 + 600) for _ in range(count)]
        row = {name: Figure(name, size) for name in pairs}
        for _ in range(rounds):
            for name, ends in pairs.items():
                measure(ends, row[name], stores)
        figures += row.values()
    return figures


@dataclass
class Handshake:
    """Both sides of one handshake, and what an idle pair keeps."""

    name: str
    us: float = float("inf")
    kib_per_end: float = 0.0


def run_handshakes(certificates: MeshCertificates, rounds: int) -> list[Handshake]:
    results = [Handshake(name) for name in CONTESTANTS if name != "direct, lending"]
    for _ in range(rounds):
        for result in results:
            began = time.perf_counter()
            for _ in range(10):
                connect(CONTESTANTS[result.name](certificates))
            result.us = min(result.us, (time.perf_counter() - began) / 10 * 1e6)
    for result in results:
        # What earlier rounds freed goes back to the kernel, or the next to come would live on it for nothing.
        ctypes.CDLL(None).malloc_trim(0)
        before = resident_kib()
        kept = [connect(CONTESTANTS[result.name](certificates)) for _ in range(400)]
        result.kib_per_end = (resident_kib() - before) / len(kept) / 2
    return results


def resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def versions() -> dict[str, str]:
    library = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode()
    return {
        "python": sys.version.split()[0],
        "pyOpenSSL": OpenSSL.__version__,
        "its OpenSSL": library,
        "stdlib's OpenSSL": ssl.OPENSSL_VERSION,
        "suite": SUITE,
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", default=40, show_default=True, help="Alternating rounds; the least of all counts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def main(rounds: int, as_json: bool) -> None:
    """Measure TLS in memory: microseconds a message, bytes a second, handshakes, memory."""
    with tempfile.TemporaryDirectory() as folder:
        certificates = make_mesh_certificates(Path(folder))
        handshakes = run_handshakes(certificates, max(1, rounds // 4))
        figures = run_messages(certificates, rounds)
    if as_json:
        rows = {"messages": [asdict(one) for one in figures], "handshakes": [asdict(one) for one in handshakes]}
        click.echo(json.dumps({**versions(), **rows}, indent=2))
        return
    click.echo(", ".join(f"{name} {value}" for name, value in versions().items()))
    click.echo(f"\n{'':16} {'bytes':>8} {'write us':>9} {'read us':>9} {'GB/s':>8} {'GB/s':>8}")
    for figure in figures:
        click.echo(figure.line())
    click.echo(f"\n{'':16} {'handshake us, both ends':>24} {'KiB an idle end':>16}")
    for one in handshakes:
        click.echo(f"{one.name:16} {one.us:24.0f} {one.kib_per_end:16.1f}")


if __name__ == "__main__":
    main()
