"""What each client sees of each type: the mesh that all share, and what is made for one proxy alone."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from hbone_py.identity import SpiffeId
from istiod_py.envoy.mesh import EnvoyMesh
from istiod_py.envoy.node import envoy_node
from istiod_py.envoy.packing import Packing
from istiod_py.envoy.resources import EnvoyResources, resources_of
from istiod_py.envoy.state_cache import StateCache
from istiod_py.proxy_config import ProxyConfigs
from istiod_py.proxyless import proxyless_resources
from istiod_py.snapshot import NOTHING, Collection, Resource
from mesh_py.xds.encode import wire
from mesh_py.xds.proxy_config import encode_proxy_config
from mesh_py.xds.types import CLUSTER, ENDPOINTS, LISTENER, PROXY_CONFIG, ROUTE, SECRET

if TYPE_CHECKING:
    from istiod_py.clients import Client
    from istiod_py.node import ProxyNode
    from istiod_py.secrets import Secrets
    from istiod_py.world import World
    from mesh_py.manifests.mesh_config import MeshConfig

Made = TypeVar("Made")
Resources = Mapping[str, Iterable[Resource]]
"""By type URL."""

log = logging.getLogger("ads")

NO_RESOURCES = EnvoyResources({}, {}, {}, {})
ENVOY_TYPES = frozenset({CLUSTER, ENDPOINTS, LISTENER, ROUTE})


class Views:
    """Looks at `world()` with each client's eyes."""

    def __init__(self, world: Callable[[], World], mesh: MeshConfig, secrets: Secrets) -> None:
        self._world = world
        self._trust_domain = mesh.trust_domain
        self._secrets = secrets
        self._config = mesh
        self._cache = StateCache()
        self._packing = Packing()
        self._mesh = OncePerState(self._envoy_mesh)
        self._configs = OncePerState(lambda world: ProxyConfigs(world.manifests, world.mesh, mesh))
        self._envoys = PerClient(self._envoy)
        self._ours = PerClient(self._proxy_config)

    def collection(self, type_url: str, client: Client) -> Collection:
        """All of a type that this client may see."""
        world = self._world()
        if (shared := world.shared(type_url)) is not None:
            return shared
        if type_url == SECRET:
            return self._secrets_of(client)
        if type_url == PROXY_CONFIG:
            return self._ours.of(world, client).get(type_url, NOTHING)
        if type_url in ENVOY_TYPES:
            return self._envoys.of(world, client).get(type_url, NOTHING)
        return NOTHING

    def _secrets_of(self, client: Client) -> Collection:
        """A private key goes to nobody who has not proven to be its owner."""
        if client.caller is None:
            return NOTHING
        caller = client.caller
        return self._secrets.of(SpiffeId(self._trust_domain, caller.namespace, caller.service_account))

    def _envoy_mesh(self, world: World) -> EnvoyMesh:
        self._cache.next_state()
        return EnvoyMesh(world.mesh, world.manifests, self._config, self._cache)

    def _envoy(self, world: World, node: ProxyNode) -> Resources:
        """LDS, RDS, CDS and EDS."""
        mesh = self._mesh.of(world)
        if node.text("GENERATOR") == "grpc":
            made = proxyless_resources(mesh)
        else:
            envoy = envoy_node(node)
            made = resources_of(mesh, envoy) if envoy is not None else NO_RESOURCES
        return {
            type_url: [self._packing.resource(type_url, name, one) for name, one in named.items()]
            for type_url, named in made.by_type().items()
        }

    def _proxy_config(self, world: World, node: ProxyNode) -> Resources:
        """The manifests that concern one of our sidecars or waypoints."""
        config = self._configs.of(world).of_proxy(node.kind, node.namespace, node.name)
        if config is None:
            return {}
        return {PROXY_CONFIG: [Resource(config.name, wire(encode_proxy_config(config)))]}


class OncePerState(Generic[Made]):
    """Something that all clients share, made when the first of them asks."""

    def __init__(self, make: Callable[[World], Made]) -> None:
        self._make = make
        self._last: tuple[World, Made] | None = None

    def of(self, world: World) -> Made:
        """It, for this state."""
        if self._last is None or self._last[0] is not world:
            self._last = (world, self._make(world))
        return self._last[1]


@dataclass
class _Seen:
    """What was last made for one client, and for which state."""

    number: int = -1
    by_type: dict[str, Collection] = field(default_factory=dict)


class PerClient:
    """Resources of one proxy, made once for each state; what stayed equal stays the very same and is not sent."""

    def __init__(self, make: Callable[[World, ProxyNode], Resources]) -> None:
        self._make = make
        self._seen: weakref.WeakKeyDictionary[Client, _Seen] = weakref.WeakKeyDictionary()

    def of(self, world: World, client: Client) -> Mapping[str, Collection]:
        """By type URL. What cannot be made leaves the client with what it has."""
        seen = self._seen.setdefault(client, _Seen())
        if seen.number != world.number:
            seen.number = world.number
            try:
                fresh = self._make(world, client.node)
            except ValueError as error:
                log.error("%s keeps what it has: %s", client.id, error)
            except Exception:  # what cannot be made for one proxy must not send it away again and again
                log.exception("! %s keeps what it has: unexpected error", client.id)
            else:
                seen.by_type = {url: _kept(seen.by_type.get(url), found) for url, found in fresh.items()}
        return seen.by_type


def _kept(old: Collection | None, resources: Iterable[Resource]) -> Collection:
    new = Collection(resources)
    return new if old is None or new.changes_since(old) else old
