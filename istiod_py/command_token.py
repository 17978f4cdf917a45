"""`token`, `new-token-key` and `root-cert`: what proxies come in with. They need the folders alone, no server."""

from __future__ import annotations

import datetime
import os
import time
from typing import TYPE_CHECKING

import click

from istiod_py import settings_table as table
from istiod_py.authority import FolderAuthority
from istiod_py.config import ca_folder, state_folder
from mesh_py.identity.signing import CaError
from mesh_py.identity.token_keys import KEY_FILE, change_keys
from mesh_py.identity.tokens import Caller, TokenError, TokenKey
from mesh_py.settings.kinds import POSITIVE_TIME
from mesh_py.settings.source import SettingsError, Values, complaint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesh_py.settings.source import Given

    Layers = Sequence[Mapping[str, Given]]


def print_token(layers: Layers, account: str, *, node: str, pod: str, lifetime: str) -> int:
    """A token for `namespace/service-account`, on one line. Raises SettingsError."""
    values = Values(layers)
    folder = state_folder(values, os.environ)
    caller = _caller(account, node, pod)
    seconds = _seconds(lifetime)
    try:
        key = TokenKey.open(folder, values[table.TOKEN_AUDIENCES])
    except (TokenError, OSError) as error:
        raise SettingsError(f"{error}; or name another folder with --state-dir") from error
    click.echo(key.mint(caller, time.time(), seconds))
    return 0


def change_token_key(layers: Layers) -> int:
    """Sign with a new key from now on; a running server follows. Raises SettingsError."""
    folder = state_folder(Values(layers), os.environ)
    try:
        change_keys(folder)
    except (TokenError, OSError) as error:
        raise SettingsError(f"{error}; or name another folder with --state-dir") from error
    click.echo(f"{folder / KEY_FILE} is new: tokens of the key before it hold until they end, or until the next change")
    return 0


def print_roots(layers: Layers) -> int:
    """The roots in PEM. Raises SettingsError."""
    values = Values(layers)
    folder = ca_folder(values, state_folder(values, os.environ))
    try:
        authority = FolderAuthority(
            folder, lambda: datetime.datetime.now(datetime.UTC), intermediate=values[table.CA_INTERMEDIATE]
        )
    except (CaError, OSError) as error:
        raise SettingsError(f"{error}; or name another folder with --ca-dir") from error
    click.echo(authority.roots_pem.decode(), nl=False)
    return 0


def _caller(account: str, node: str, pod: str) -> Caller:
    namespace, slash, name = account.partition("/")
    if not slash or not namespace or not name or "/" in name:
        raise SettingsError(f"{account!r} is not namespace/service-account, such as istio-system/ztunnel")
    return Caller(namespace, name, pod, "", node)


def _seconds(text: str) -> float:
    try:
        return POSITIVE_TIME.read(text)
    except ValueError as error:
        raise SettingsError(f"--ttl: {complaint(text, str(error))}") from None
