"""Our own resource, to bytes and back: the manifests that concern one proxy (docs/proxy-config.md) [no I/O].

What is sent is what the author wrote, and it is read by the code that reads files. Kinds that the reader does not know
are passed over, so that a control plane may be newer than its proxies. Anything else that cannot be read rejects the
resource whole: half a set of policies is no set of policies.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct

from mesh_py.discovery.problems import ConfigError
from mesh_py.manifests.core import Namespace, Pod
from mesh_py.manifests.mesh_config import MeshConfig
from mesh_py.manifests.metadata import Place, Written
from mesh_py.manifests.proxy_config import ProxyConfig
from mesh_py.manifests.reader import KINDS, read_mapping
from mesh_py.xds.decode import RejectedResource
from mesh_py.xds.proto import proxy_config_pb2 as proto

if TYPE_CHECKING:
    from mesh_py.manifests.objects import KubernetesObject


def encode_proxy_config(config: ProxyConfig) -> proto.ProxyConfig:
    """The resource; its name goes into the envelope.

    Raises:
        ValueError: an object was made by a program, so that nobody knows how it is written.
    """
    names = config.mesh
    mesh = proto.Mesh(
        root_namespace=names.root_namespace, trust_domain=names.trust_domain, cluster_domain=names.cluster_domain
    )
    return proto.ProxyConfig(mesh=mesh, manifests=[_manifest(one) for one in config.objects])


def decode_proxy_config(data: bytes, name: str) -> ProxyConfig:
    """Read the resource of that name. Raises RejectedResource."""
    message = proto.ProxyConfig()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise RejectedResource(f"not a ProxyConfig: {error}") from None
    known = [manifest for manifest in message.manifests if manifest.kind in KINDS]
    return ProxyConfig(name, _mesh(message.mesh), tuple(_object(one, order) for order, one in enumerate(known)))


def _manifest(one: KubernetesObject) -> proto.Manifest:
    metadata = one.metadata
    written = metadata.written or _made(one)
    return proto.Manifest(
        api_version=written.api_version,
        kind=one.kind,
        namespace=metadata.namespace,
        name=metadata.name,
        labels=metadata.labels,
        annotations=metadata.annotations,
        spec=ParseDict(dict(written.spec), Struct()),
        creation_timestamp=metadata.creation_timestamp,
    )


def _made(one: KubernetesObject) -> Written:
    """A pod need not have been written, a Deployment makes it; most of it, and all but the labels of a namespace, is
    nothing to a proxy."""
    if isinstance(one, Namespace):
        return Written("v1", {})
    if not isinstance(one, Pod):
        raise ValueError(f"{one.kind} {one.metadata.key} was made, not read: nobody knows how it is written")
    account, node = one.spec.service_account_name, one.spec.node_name
    return Written("v1", {"serviceAccountName": account, **({"nodeName": node} if node else {}), "containers": []})


def _mesh(message: proto.Mesh) -> MeshConfig:
    given = {
        "root_namespace": message.root_namespace,
        "trust_domain": message.trust_domain,
        "cluster_domain": message.cluster_domain,
    }
    return MeshConfig(**{key: value for key, value in given.items() if value})


def _object(message: proto.Manifest, order: int) -> KubernetesObject:
    """An object whose age among the others is its position, where no timestamp says better."""
    place = f"{message.kind} {message.namespace}/{message.name}"
    try:
        found = read_mapping(_mapping(message), place)
    except ConfigError as error:
        raise RejectedResource(str(error)) from None
    return replace(found, metadata=replace(found.metadata, order=order, place=Place()))


def _mapping(message: proto.Manifest) -> dict[str, Any]:
    metadata = {
        "name": message.name,
        "namespace": message.namespace,
        "labels": dict(message.labels),
        "annotations": dict(message.annotations),
        "creationTimestamp": message.creation_timestamp,
    }
    return {
        "apiVersion": message.api_version,
        "kind": message.kind,
        "metadata": {key: value for key, value in metadata.items() if value},
        "spec": MessageToDict(message.spec),
    }
