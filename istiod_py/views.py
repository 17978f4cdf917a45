"""What each client sees of each type: the mesh that all share, and what is made for one proxy alone."""

from __future__ import annotations

import logging
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hbone_py.identity import SpiffeId
from istiod_py.envoy.mesh import EnvoyMesh
from istiod_py.envoy.node import envoy_node
from istiod_py.envoy.protobuf import InvalidResourceError, pack
from istiod_py.envoy.resources import EnvoyResources, resources_of
from istiod_py.proxy_config import ProxyConfigs
from istiod_py.proxyless import proxyless_resources
from istiod_py.snapshot import NOTHING, Collection, Resource
from mesh_py.xds.encode import wire
from mesh_py.xds.proxy_config import encode_proxy_config
from mesh_py.xds.types import CLUSTER, ENDPOINTS, LISTENER, PROXY_CONFIG, ROUTE, SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from istiod_py.clients import Client
    from istiod_py.node import ProxyNode
    from istiod_py.secrets import Secrets
    from istiod_py.world import World
    from mesh_py.manifests.mesh_config import MeshConfig
    from mesh_py.manifests.proxy_config import ProxyConfig

log = logging.getLogger("ads")

NO_RESOURCES = EnvoyResources({}, {}, {}, {})
ENVOY_TYPES = frozenset({CLUSTER, ENDPOINTS, LISTENER, ROUTE})


@dataclass
class _Made:
    """What was last made for one client, and for which state."""

    number: int = -1
    by_type: dict[str, Collection] = field(default_factory=dict)


class Views:
    """Looks at `world()` with each client's eyes."""

    def __init__(self, world: Callable[[], World], mesh: MeshConfig, secrets: Secrets) -> None:
        self._world = world
        self._config = mesh
        self._secrets = secrets
        self._made: weakref.WeakKeyDictionary[Client, _Made] = weakref.WeakKeyDictionary()
        self._envoy_mesh: tuple[int, EnvoyMesh] = (-1, EnvoyMesh())
        self._made_configs: weakref.WeakKeyDictionary[Client, _Made] = weakref.WeakKeyDictionary()
        self._configs: tuple[int, ProxyConfigs] | None = None

    def collection(self, type_url: str, client: Client) -> Collection:
        """All of a type that this client may see."""
        world = self._world()
        if (shared := world.shared(type_url)) is not None:
            return shared
        if type_url == SECRET:
            return self._secrets_of(client)
        if type_url == PROXY_CONFIG:
            return self._proxy_config(world, client)
        if type_url in ENVOY_TYPES:
            return self._envoy(world, client).get(type_url, NOTHING)
        return NOTHING

    def _proxy_config(self, world: World, client: Client) -> Collection:
        """One resource at most: the proxy's own."""
        made = self._made_configs.setdefault(client, _Made())
        if made.number != world.number:
            made.number = world.number
            node = client.node
            config = self._configs_of(world).of_proxy(node.kind, node.namespace, node.name)
            before = made.by_type.get(PROXY_CONFIG, NOTHING)
            fresh = Collection([] if config is None else [proxy_config_resource(config)])
            made.by_type[PROXY_CONFIG] = fresh if fresh.changes_since(before) else before
        return made.by_type[PROXY_CONFIG]

    def _configs_of(self, world: World) -> ProxyConfigs:
        """The same for all our proxies in one state."""
        if self._configs is None or self._configs[0] != world.number:
            self._configs = (world.number, ProxyConfigs(world.manifests, world.mesh, self._config))
        return self._configs[1]

    def _secrets_of(self, client: Client) -> Collection:
        """A private key goes to nobody who has not proven to be its owner."""
        if client.caller is None:
            return NOTHING
        caller = client.caller
        return self._secrets.of(SpiffeId(self._config.trust_domain, caller.namespace, caller.service_account))

    def _envoy(self, world: World, client: Client) -> Mapping[str, Collection]:
        """Made once for each state; what stayed equal stays the very same, so that nothing is sent."""
        made = self._made.setdefault(client, _Made())
        if made.number != world.number:
            made.number = world.number
            try:
                fresh = _collections(self._resources(world, client.node), made.by_type)
            except InvalidResourceError as error:
                log.error("%s keeps what it has: %s", client.id, error)
            else:
                made.by_type = fresh
        return made.by_type

    def _resources(self, world: World, node: ProxyNode) -> EnvoyResources:
        mesh = self._mesh_of(world)
        if node.text("GENERATOR") == "grpc":
            return proxyless_resources(mesh)
        envoy = envoy_node(node)
        return resources_of(mesh, envoy) if envoy is not None else NO_RESOURCES

    def _mesh_of(self, world: World) -> EnvoyMesh:
        """The same for all Envoys: what it computes on being asked is computed once for each state."""
        if self._envoy_mesh[0] != world.number:
            self._envoy_mesh = (world.number, EnvoyMesh(world.mesh, world.manifests, self._config))
        return self._envoy_mesh[1]


def proxy_config_resource(config: ProxyConfig) -> Resource:
    """What one of our own proxies is told."""
    return Resource(config.name, wire(encode_proxy_config(config)))


def _collections(resources: EnvoyResources, old: Mapping[str, Collection]) -> dict[str, Collection]:
    found = {}
    for type_url, named in resources.by_type().items():
        fresh = Collection(Resource(*pack(type_url, name, one)) for name, one in named.items())
        before = old.get(type_url)
        found[type_url] = fresh if before is None or fresh.changes_since(before) else before
    return found
