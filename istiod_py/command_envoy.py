"""`envoy-bootstrap` and `envoy-resources`: what an Envoy starts with, and what it is told. No server is needed."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import yaml

from hbone_py.address import format_address
from istiod_py import settings_table as table
from istiod_py.ambient.build import build
from istiod_py.command_token import refused_as
from istiod_py.config import from_values
from istiod_py.envoy.bootstrap import ClientCertificate, ControlPlane, TokenFile, bootstrap
from istiod_py.envoy.form_118 import RELEASE_1_18
from istiod_py.envoy.form_today import TODAY
from istiod_py.envoy.mesh import EnvoyMesh
from istiod_py.envoy.pod_node import node_of_pod
from istiod_py.envoy.resources import resources_of
from istiod_py.folder import FolderError
from istiod_py.registry import Registry, RegistrySettings
from mesh_py.discovery.problems import ConfigError, suggest
from mesh_py.identity.key_files import PRIVATE, PUBLIC, write_file
from mesh_py.identity.tokens import LIFETIME, Caller, TokenKey
from mesh_py.manifests.core import Pod
from mesh_py.settings.source import SettingsError, Values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from istiod_py.config import Settings
    from istiod_py.envoy.extension import Json
    from istiod_py.envoy.form import Form
    from istiod_py.envoy.resources import EnvoyResources
    from mesh_py.manifests.objects import Manifests
    from mesh_py.settings.source import Given

    Layers = Sequence[Mapping[str, Given]]

FORMS: dict[str, Form] = {form.name: form for form in (TODAY, RELEASE_1_18)}
BOOTSTRAP_FILE, TOKEN_FILE = "envoy.json", "token"


class Proof(NamedTuple):
    """Files by which the Envoy proves itself, as far as they are given; without any a token is made."""

    token: str | None = None
    certificate: str | None = None
    key: str | None = None


class Machine(NamedTuple):
    """Places on the Envoy's own machine; empty: none."""

    access_log: str = ""
    credentials_folder: str = ""


def write_bootstrap(
    layers: Layers,
    pod_name: str,
    out: Path,
    proof: Proof,
    control_plane: str | None,
    machine: Machine = Machine(),  # noqa: B008  # a value that never changes
) -> int:
    """Write what an Envoy starts with into a folder, and say how. Raises SettingsError."""
    settings = from_values(layers, os.environ)
    manifests = _manifests(settings)
    pod = _pod(manifests, pod_name)
    node = replace(node_of_pod(pod, manifests, settings.mesh.cluster_domain), **machine._asdict())
    host, port = _address(control_plane, Values(layers), settings)
    with refused_as(out, "--out"):
        out.mkdir(parents=True, exist_ok=True)
        where = ControlPlane(host, port, str(_roots(settings)), _proof(proof, pod, settings, out))
        text = json.dumps(bootstrap(node, where), indent=2) + "\n"
        write_file(out / BOOTSTRAP_FILE, text.encode(), PUBLIC, replace=True)
    click.echo(f"{node.type.value} {pod.metadata.key} at {node.ip} joins {format_address(host, port)}:")
    click.echo(f"  envoy -c {out / BOOTSTRAP_FILE} --use-dynamic-base-id")
    return 0


def print_resources(layers: Layers, pod_name: str, form: str, output: str) -> int:
    """Everything the Envoy of a pod would be told, but for its certificates. Raises SettingsError."""
    settings = from_values(layers, os.environ)
    manifests = _manifests(settings)
    node = node_of_pod(_pod(manifests, pod_name), manifests, settings.mesh.cluster_domain)
    mesh = EnvoyMesh(build(manifests, settings.options), manifests, settings.mesh)
    told = resources_of(mesh, node, FORMS[form])
    click.echo(as_yaml(told) if output == "yaml" else json.dumps(_by_kind(told), indent=2) + "\n", nl=False)
    return 0


def as_yaml(told: EnvoyResources) -> str:
    """Resources for people: by kind and name, in the order in which they are sent."""
    return yaml.dump(_by_kind(told), Dumper=_WithoutAnchors, sort_keys=False, width=120)


def _by_kind(told: EnvoyResources) -> dict[str, Json]:
    return {kind: dict(named) for kind, named in told._asdict().items()}


class _WithoutAnchors(yaml.SafeDumper):
    """What is there twice is written twice: people compare such files."""

    def ignore_aliases(self, data: object) -> bool:
        """Never an anchor."""
        return True


def _manifests(settings: Settings) -> Manifests:
    try:
        return Registry.load(RegistrySettings(settings.folder, settings.mesh.trust_domain, settings.ranges)).manifests
    except (FolderError, ConfigError) as error:
        raise SettingsError(str(error)) from error


def _pod(manifests: Manifests, name: str) -> Pod:
    namespace, slash, pod_name = name.partition("/")
    if not slash:
        namespace, pod_name = "default", name
    found = manifests.find(Pod, namespace, pod_name)
    if found is None:
        known = [pod.metadata.key for pod in manifests.pods]
        raise SettingsError(f"no pod {namespace}/{pod_name} in the folder; {suggest(f'{namespace}/{pod_name}', known)}")
    if not found.ips:
        raise SettingsError(f"pod {found.metadata.key} has no address; give it one in status.podIP")
    return found


def _address(text: str | None, values: Values, settings: Settings) -> tuple[str, int]:
    if text is None:
        return settings.bind or "127.0.0.1", values[table.SECURE_GRPC_PORT]
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not host:
        raise SettingsError(f"--control-plane: {text!r} is not host:port, such as 127.0.9.1:15012")
    return host.strip("[]"), int(port)


def _roots(settings: Settings) -> Path:
    roots = settings.ca_folder / "root-cert.pem"
    if not roots.exists():
        raise SettingsError(f"{roots} is not there yet; start the control plane, or run root-cert once")
    return roots.absolute()


def _proof(proof: Proof, pod: Pod, settings: Settings, out: Path) -> TokenFile | ClientCertificate:
    if (proof.certificate is None) != (proof.key is None):
        raise SettingsError("--certificate and --key belong together; give both or none")
    if proof.certificate is not None and proof.key is not None:
        if proof.token is not None:
            raise SettingsError("an Envoy proves itself by --token-file or by --certificate and --key, not by both")
        return ClientCertificate(_absolute(proof.certificate), _absolute(proof.key))
    if proof.token is not None:
        return TokenFile(_absolute(proof.token))
    return TokenFile(str(_minted(pod, settings, out)))


def _minted(pod: Pod, settings: Settings, out: Path) -> Path:
    """A token of the pod's account: no newline behind it, since Envoy sends the file as it is."""
    caller = Caller(pod.metadata.namespace, pod.spec.service_account_name, pod.metadata.name, "", pod.spec.node_name)
    with refused_as(settings.state_folder, "--state-dir"):
        token = TokenKey.open(settings.state_folder, settings.audiences).mint(caller, time.time(), LIFETIME)
    path = (out / TOKEN_FILE).absolute()
    write_file(path, token.encode(), PRIVATE, replace=True)
    return path


def _absolute(path: str) -> str:
    if not Path(path).is_file():
        raise SettingsError(f"{path} is no file")
    return str(Path(path).absolute())
