"""Make a root and SPIFFE certificates for workloads, in one command.

    python certs/make_certs.py                         default/sleep and default/httpbin, in certs/out
    python certs/make_certs.py shop/cart shop/web      these
    python certs/make_certs.py --show certs/out/shop/cart/cert-chain.pem

A second run keeps the root and every certificate that is still good. This file is the command line alone; the
authority is mesh_py/identity.

Exit status: 0 ok; 2 usage, or nothing was done and why.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import re
import sys
from pathlib import Path
from typing import Any

try:
    import click
    import yaml
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from hbone_py.identity import SpiffeId
    from mesh_py.identity import certificate_facts, layout, signing
    from mesh_py.identity.local_ca import LocalCa
    from mesh_py.process.reason import reason_of
except ModuleNotFoundError as missing:
    sys.stderr.write(
        f"error: this Python has no {missing.name}; say: make certs, or .venv/bin/python certs/make_certs.py\n"
    )
    raise SystemExit(2) from None

DEFAULT_IDENTITIES = ("default/sleep", "default/httpbin")
DEFAULT_FOLDER = Path(__file__).parent / "out"
# Kubernetes names: a namespace is one label, a service account may have dots. Both become folders.
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+")


class State(enum.Enum):
    """What has become of one certificate in this run."""

    MADE = "made"
    KEPT = "kept"
    RENEWED = "renewed"
    REPLACED = "replaced"


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One line of the result."""

    identity: str
    folder: str
    state: State
    not_after: datetime.datetime


class Refused(click.ClickException):
    """Nothing was done, and why."""

    exit_code = 2


@click.command(
    help=__doc__.replace("\n    python", "\n\n\b\n    python", 1),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("identities", nargs=-1, metavar="[NAMESPACE/SERVICE_ACCOUNT]...")
@click.option("--trust-domain", default="cluster.local", show_default=True, help="Of the SPIFFE identities.")
@click.option("--intermediate", is_flag=True, help="Put an intermediate between root and certificates.")
@click.option("--days", default=30.0, show_default=True, type=click.FloatRange(0, min_open=True), help="Lifetime.")
@click.option(
    "--out",
    default=DEFAULT_FOLDER,
    show_default="certs/out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where: <out>/<namespace>/<service account>/; set WORKLOAD_CERT_DIR to it.",
)
@click.option("--force", is_flag=True, help="Replace certificates that are there, also foreign ones.")
@click.option("--show", type=click.File("rb"), metavar="FILE", help="Only tell what a PEM file holds ('-': stdin).")
@click.option(
    "-o", "--output", default="table", type=click.Choice(["table", "json", "yaml"]), help="Form of the answer."
)
def main(
    identities: tuple[str, ...],
    trust_domain: str,
    intermediate: bool,
    days: float,
    out: Path,
    force: bool,
    show: Any,
    output: str,
) -> None:
    """Make what was asked for, or show a file."""
    now = datetime.datetime.now(datetime.UTC)
    if show:
        click.echo(_shown(show.read(), _roots_beside(show.name), now, output))
        return
    wanted = [_identity(text, trust_domain) for text in identities or DEFAULT_IDENTITIES]
    try:
        ca = LocalCa.open(out, now, intermediate=intermediate)
        rows = make(ca, wanted, out, now, datetime.timedelta(days=days), force=force)
    except signing.CaError as error:
        raise Refused(str(error)) from error
    except OSError as error:
        where = error.filename or out
        raise Refused(f"{where}: {reason_of(error)}: name a folder to write to with --out") from error
    click.echo(_made(rows, out, output))


def make(
    ca: LocalCa,
    wanted: list[SpiffeId],
    out: Path,
    now: datetime.datetime,
    lifetime: datetime.timedelta,
    *,
    force: bool,
) -> list[Row]:
    """Bring each identity's folder up to date; everything is looked at before anything is written.

    :raises Refused: a folder holds something else than this authority's certificate, and ``force`` is false.
    """
    states = {spiffe_id: _next_state(ca, spiffe_id, out, now, force=force) for spiffe_id in wanted}
    rows = []
    for spiffe_id, state in states.items():
        folder = layout.identity_folder(out, spiffe_id)
        if state is not State.KEPT:
            leaf = ca.issue(spiffe_id, now, lifetime)
            layout.write_leaf(folder, leaf, replace=state is not State.MADE)
        end = _chain(folder)[0].not_valid_after_utc
        rows.append(Row(str(spiffe_id), str(folder), state, end))
    return rows


def _next_state(ca: LocalCa, spiffe_id: SpiffeId, out: Path, now: datetime.datetime, *, force: bool) -> State:
    folder = layout.identity_folder(out, spiffe_id)
    if not any((folder / name).exists() for name in (layout.CERT_CHAIN, layout.KEY, layout.ROOT_CERT)):
        return State.MADE
    if force:
        return State.REPLACED
    if problem := _problem(ca, spiffe_id, folder):
        raise Refused(f"{folder}: {problem}; --force replaces it")
    return State.KEPT if now < _chain(folder)[0].not_valid_after_utc else State.RENEWED


def _problem(ca: LocalCa, spiffe_id: SpiffeId, folder: Path) -> str | None:
    """Why the folder's certificate is not this authority's for that identity, or None."""
    try:
        chain = _chain(folder)
        key = load_pem_private_key((folder / layout.KEY).read_bytes(), password=None)
    except (OSError, ValueError) as error:
        return str(error)
    names = certificate_facts.names_of(chain[0]) if chain else ()
    if names != (f"URI:{spiffe_id}",):
        return f"is for {' '.join(names) or 'nobody'}"
    if chain[0].public_key() != key.public_key():
        return f"{layout.KEY} is not the key of {layout.CERT_CHAIN}"
    return certificate_facts.chain_problem(chain, [ca.authority.root])


def _chain(folder: Path) -> list[Any]:
    return certificate_facts.certificates_of((folder / layout.CERT_CHAIN).read_bytes())


def _identity(text: str, trust_domain: str) -> SpiffeId:
    namespace, slash, account = text.partition("/")
    if not (slash and NAME.fullmatch(namespace) and "." not in namespace and NAME.fullmatch(account)):
        raise click.UsageError(f"{text!r} is not NAMESPACE/SERVICE_ACCOUNT, as in default/sleep")
    if not TRUST_DOMAIN.fullmatch(trust_domain):
        raise click.UsageError(f"{trust_domain!r} is not a trust domain, as in cluster.local")
    return SpiffeId(trust_domain, namespace, account)


def _made(rows: list[Row], out: Path, output: str) -> str:
    if output != "table":
        return _structured({"root": str(out / "root-cert.pem"), "identities": [_plain(row) for row in rows]}, output)
    width = max(len(row.identity) for row in rows)
    lines = [f"{row.identity:{width}}  {row.state.value:8}  until {_time(row.not_after)}  {row.folder}" for row in rows]
    return "\n".join([*lines, f"root: {out / 'root-cert.pem'}"])


def _roots_beside(name: str) -> Path | None:
    """The nearest root-cert.pem at or above a file, at most two folders up."""
    if name in ("-", "<stdin>"):
        return None
    folder = Path(name).resolve().parent
    candidates = [parent / layout.ROOT_CERT for parent in (folder, *list(folder.parents)[:2])]
    return next((file for file in candidates if file.exists()), None)


def _shown(pem: bytes, roots: Path | None, now: datetime.datetime, output: str) -> str:
    facts = certificate_facts.facts_of(pem, now)
    if not facts:
        raise Refused("there is no PEM block in it: --show takes certificates and keys in PEM")
    answer = {"holds": [{"kind": _kind(fact), **_plain(fact)} for fact in facts], "chain": _chain_verdict(pem, roots)}
    if output != "table":
        return _structured(answer, output)
    blocks = [
        f"{number}. {_kind(fact)}\n" + "\n".join(f"   {key:10}  {_text(value)}" for key, value in _plain(fact).items())
        for number, fact in enumerate(facts, 1)
    ]
    return "\n".join([*blocks, f"chain: {answer['chain']}"])


def _kind(fact: certificate_facts.Facts) -> str:
    return type(fact).__name__.removesuffix("Facts").lower()


def _chain_verdict(pem: bytes, roots: Path | None) -> str:
    try:
        chain = certificate_facts.certificates_of(pem)
        if not chain:
            return "no certificate"
        if roots is None:
            return "not checked, there is no root-cert.pem beside the file"
        problem = certificate_facts.chain_problem(chain, certificate_facts.certificates_of(roots.read_bytes()))
    except ValueError as error:
        return f"not checked: {error}"
    return f"broken for {roots}: {problem}" if problem else f"leads to {roots}"


def _plain(fact: Any) -> dict[str, Any]:
    """A fact or a row with values that JSON and YAML know."""
    values = dataclasses.asdict(fact)
    return {key: value if isinstance(value, bool | tuple) else _text(value) for key, value in values.items()}


def _text(value: object) -> str:
    match value:
        case datetime.datetime():
            return _time(value)
        case enum.Enum():
            return str(value.value)
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(value) or "none"
        case _:
            return str(value) or "(empty)"


def _time(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _structured(answer: dict[str, Any], output: str) -> str:
    if output == "json":
        return json.dumps(answer, indent=2)
    # Tuples become lists on the way through JSON; YAML would tag them.
    return yaml.safe_dump(json.loads(json.dumps(answer)), sort_keys=False).rstrip()


if __name__ == "__main__":
    main()
