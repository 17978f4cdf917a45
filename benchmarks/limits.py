"""What this machine can do without any proxy: AES-GCM alone, and TLS through memory buffers alone.

    python -m benchmarks.limits [--rounds 12]

Prints JSON. Loopback TCP alone and an epoll echo in C are the contestant `direct` of a run; `floors.py` puts them
together.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

import click
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.tls_memory import run_messages
from tests.support.certificates import make_mesh_certificates

_BYTES, _TIMES = 64 * 1024, 300
_BULK, _SMALL = 245_760, 73
"""Sizes of messages that `tls_memory` knows."""


def aes_gcm(bits: int, rounds: int) -> float:
    """Bytes encrypted in a nanosecond, 64 KiB at a time, nothing allocated; the best round counts."""
    cipher, nonce = AESGCM(os.urandom(bits // 8)), bytes(12)
    plain, sealed = bytes(_BYTES), bytearray(_BYTES + 16)
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter_ns()
        for _ in range(_TIMES):
            cipher.encrypt_into(nonce, plain, None, sealed)
        best = min(best, time.perf_counter_ns() - began)
    return _BYTES * _TIMES / best


def tls(rounds: int) -> dict[str, float]:
    """Our engine between memory buffers: GB/s of long messages, microseconds of short ones."""
    with tempfile.TemporaryDirectory() as folder:
        figures = run_messages(make_mesh_certificates(Path(folder)), rounds)
    bulk, small = (next(one for one in figures if (one.name, one.size) == ("direct", size)) for size in (_BULK, _SMALL))
    return {
        "tls_encrypt_gb_s": _BULK / bulk.write_us / 1e3,
        "tls_decrypt_gb_s": _BULK / bulk.read_us / 1e3,
        "tls_small_us": small.write_us + small.read_us,
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", default=12, show_default=True, help="Rounds; the least disturbed one counts.")
def main(rounds: int) -> None:
    """Measure what cryptography costs by itself."""
    figures = {f"aes_{bits}_gcm_gb_s": aes_gcm(bits, rounds) for bits in (128, 256)} | tls(rounds)
    click.echo(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
