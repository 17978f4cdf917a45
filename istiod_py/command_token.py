"""`token`, `new-token-key` and `root-cert`: what proxies come in with. They need the folders alone, no server."""

from __future__ import annotations

import contextlib
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
from mesh_py.manifests.decoders import dns_label, dns_name
from mesh_py.process.reason import reason_of
from mesh_py.settings.kinds import POSITIVE_TIME
from mesh_py.settings.source import SettingsError, Values, complaint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mesh_py.settings.source import Given

    Layers = Sequence[Mapping[str, Given]]


def print_token(layers: Layers, account: str, *, node: str, pod: str, lifetime: str) -> int:
    """A token for `namespace/service-account`, on one line. Raises SettingsError."""
    values = Values(layers)
    folder = state_folder(values, os.environ)
    caller = _caller(account, node, pod)
    seconds = _seconds(lifetime)
    with refused_as(folder, "--state-dir"):
        key = TokenKey.open(folder, values[table.TOKEN_AUDIENCES])
    click.echo(key.mint(caller, time.time(), seconds))
    return 0


def change_token_key(layers: Layers) -> int:
    """Sign with a new key from now on; a running server follows. Raises SettingsError."""
    folder = state_folder(Values(layers), os.environ)
    with refused_as(folder, "--state-dir"):
        change_keys(folder)
    click.echo(f"{folder / KEY_FILE} is new: tokens of the key before it hold until they end, or until the next change")
    return 0


def print_roots(layers: Layers) -> int:
    """The roots in PEM. Raises SettingsError."""
    values = Values(layers)
    folder = ca_folder(values, state_folder(values, os.environ))
    with refused_as(folder, "--ca-dir"):
        authority = FolderAuthority(
            folder, lambda: datetime.datetime.now(datetime.UTC), intermediate=values[table.CA_INTERMEDIATE]
        )
    click.echo(authority.roots_pem.decode(), nl=False)
    return 0


@contextlib.contextmanager
def refused_as(folder: Path, flag: str) -> Iterator[None]:
    """What is refused of a folder of keys, as SettingsError: the file, why, and the flag that names another folder."""
    try:
        yield
    except (TokenError, CaError) as error:
        raise SettingsError(f"{error}; or name another folder with {flag}") from error
    except OSError as error:
        where = error.filename or folder
        raise SettingsError(f"{where}: {reason_of(error)}: name a folder to write to with {flag}") from error


def _caller(account: str, node: str, pod: str) -> Caller:
    """Of names as a cluster has them: no other would be found, or could be told from its like in a log."""
    namespace, slash, name = account.partition("/")
    if not slash or not namespace or not name or "/" in name:
        raise SettingsError(f"{account!r} is not namespace/service-account, such as istio-system/ztunnel")
    _check_name(f"{account!r}: the namespace", dns_label, namespace, "lower-case letters, digits and '-', at most 63")
    named = (f"{account!r}: the service account", name), ("--node", node), ("--pod", pod)
    for what, text in named:
        if text:
            _check_name(what, dns_name, text, "lower-case letters, digits, '-' and '.', at most 253")
    return Caller(namespace, name, pod, "", node)


def _check_name(what: str, check: Callable[[str], str], text: str, form: str) -> None:
    try:
        check(text)
    except ValueError as error:
        raise SettingsError(f"{what}: {error}: a name is of {form}") from None


def _seconds(text: str) -> float:
    try:
        return POSITIVE_TIME.read(text)
    except ValueError as error:
        raise SettingsError(f"--ttl: {complaint(text, str(error))}") from None
