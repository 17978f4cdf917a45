"""Certificates for Envoys: of the right identity, renewed at half their life, the same until then."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from hbone_py.identity import SpiffeId
from istiod_py import secrets as secrets_module
from istiod_py.authority import FolderAuthority
from istiod_py.secrets import Secrets
from istiod_py.snapshot import NOTHING
from mesh_py.identity.certificate_facts import certificates_of, chain_problem, names_of
from mesh_py.identity.signing import CaError

if TYPE_CHECKING:
    from pathlib import Path

    from istiod_py.snapshot import Collection

HOUR = datetime.timedelta(hours=1)
CART = SpiffeId("cluster.local", "shop", "cart")


class Clock:
    def __init__(self) -> None:
        self.now = datetime.datetime.now(datetime.UTC)

    def __call__(self) -> datetime.datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authority(tmp_path: Path, clock: Clock) -> FolderAuthority:
    return FolderAuthority(tmp_path, clock)


def read(found: Collection, name: str) -> Secret:
    return Secret.FromString(found.resources[name].body)


def test_key_and_chain_belong_together_and_to_the_identity(authority: FolderAuthority, clock: Clock) -> None:
    found = Secrets(authority, HOUR, clock).of(CART)
    own = read(found, "default").tls_certificate
    chain = certificates_of(own.certificate_chain.inline_string.encode())
    key = load_pem_private_key(own.private_key.inline_string.encode(), None)
    assert names_of(chain[0]) == (f"URI:{CART}",)
    assert key.public_key() == chain[0].public_key()
    trusted = read(found, "ROOTCA").validation_context.trusted_ca.inline_string
    assert chain_problem(chain, certificates_of(trusted.encode())) is None


def test_renewed_at_half_its_life(authority: FolderAuthority, clock: Clock) -> None:
    secrets = Secrets(authority, HOUR, clock)
    first = secrets.of(CART)
    clock.now += 0.49 * HOUR
    assert not secrets.renew()
    assert secrets.of(CART) is first
    clock.now += 0.02 * HOUR
    assert secrets.renew()
    assert secrets.of(CART).resources["default"].version != first.resources["default"].version


def test_all_at_once_when_the_authority_has_changed(authority: FolderAuthority, clock: Clock) -> None:
    secrets = Secrets(authority, HOUR, clock)
    assert not secrets.renew(all=True)
    first = secrets.of(CART)
    assert secrets.renew(all=True)
    assert secrets.of(CART) is not first


def test_an_authority_that_cannot_sign_gives_nothing(
    authority: FolderAuthority, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object, **__: object) -> None:
        raise CaError("expired")

    monkeypatch.setattr(authority, "issue", cannot)
    assert Secrets(authority, HOUR, clock).of(CART) is NOTHING


def test_identities_are_limited(authority: FolderAuthority, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets_module, "MOST_IDENTITIES", 2)
    secrets = Secrets(authority, HOUR, clock)
    identities = [SpiffeId("cluster.local", "shop", str(number)) for number in range(3)]
    first, *_ = [secrets.of(identity) for identity in identities]
    assert secrets.of(identities[2]) is secrets.of(identities[2])
    assert secrets.of(identities[0]) is not first
