"""MeshState: everything the control plane or the local file told, ready to be looked up [pure].

One writer feeds it whole objects, in any order; readers find a consistent state between two calls. Lookups cost
about a microsecond whatever the size of the mesh.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.discovery.services import ServiceIndex
from mesh_py.discovery.workloads import WorkloadIndex
from mesh_py.model.address import NamespacedHostname, NetworkAddress
from mesh_py.model.workload import Endpoint
from mesh_py.policy.store import PolicyStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mesh_py.discovery.record import ServiceRecord
    from mesh_py.model.address import IpAddress
    from mesh_py.model.authorization import Policy
    from mesh_py.model.workload import Service, Workload


class Changed(NamedTuple):
    """How many objects a replacement added, altered or removed."""

    workloads: int = 0
    services: int = 0
    policies: int = 0


class Told(NamedTuple):
    """Whom one source of the mesh has spoken of, by key: where there are several, each replaces its own only."""

    workloads: frozenset[str] = frozenset()
    services: frozenset[NamespacedHostname] = frozenset()
    policies: frozenset[str] = frozenset()


class MeshState:
    """The mesh as one proxy knows it.

    Args:
        network: the network this proxy is in (`NETWORK`); "" is the default network.
        node: the node it serves (`NODE_NAME`); None counts every workload as local.
    """

    def __init__(self, network: str = "", node: str | None = None) -> None:
        self.network = network
        self.node = node
        self.version = 0
        """Grows with every change, once per batch."""
        self.workloads = WorkloadIndex()
        self.services = ServiceIndex()
        self.policies = PolicyStore()
        self._local_changes = 0
        self._watchers: list[Callable[[], None]] = []
        self._batches = 0
        self._dirty = False

    # Changes

    def upsert_workload(self, workload: Workload) -> None:
        """Add a workload or replace the one with its uid, and its place behind services with it."""
        old = self.workloads.remove(workload.uid)
        self._local_changes += self.is_local(workload) or (old is not None and self.is_local(old))
        for key in old.services if old else ():
            if key not in workload.services:
                self.services.detach(key, workload.uid)
        self.workloads.insert(workload)
        for key, ports in workload.services.items():
            self.services.attach(key, Endpoint(workload.uid, ports, workload.status))
        self.services.workload_changed(workload.uid)
        self._changed()

    def remove_workload(self, uid: str) -> bool:
        """Forget a workload. Returns whether it was known."""
        old = self.workloads.remove(uid)
        if old is None:
            return False
        self._local_changes += self.is_local(old)
        for key in old.services:
            self.services.detach(key, uid)
        self.services.workload_changed(uid)
        self._changed()
        return True

    def upsert_service(self, service: Service) -> None:
        """Add a service or replace the one of its name; the workloads behind it stay."""
        self.services.upsert(service)
        self._changed()

    def remove_service(self, key: NamespacedHostname) -> bool:
        """Forget a service. Returns whether it was known."""
        known = self.services.remove(key)
        if known:
            self._changed()
        return known

    def remove_address(self, name: str) -> bool:
        """Forget what a control plane calls `name`: a workload's uid, else `namespace/hostname` of a service."""
        if self.remove_workload(name):
            return True
        namespace, _, hostname = name.partition("/")
        return self.remove_service(NamespacedHostname(namespace, hostname))

    def upsert_policy(self, policy: Policy, key: str | None = None) -> None:
        """Add a policy or replace the one of its name; `key` if workloads know it by another name."""
        self.policies.upsert(policy, key)
        self._changed()

    def remove_policy(self, key: str) -> bool:
        """Forget a policy. Returns whether it was known."""
        known = self.policies.remove(key)
        if known:
            self._changed()
        return known

    def expect_policies(self, what: str) -> None:
        """Policies are on their way that nobody can name yet: nothing is judged without `what`, as logs call them."""
        self.policies.await_all(what)
        self._changed()

    def policies_known(self) -> None:
        """The policies that were expected are here, even if there are none."""
        if self.policies.all_known():
            self._changed()

    def replace(
        self,
        workloads: Iterable[Workload],
        services: Iterable[Service],
        policies: Iterable[Policy],
        *,
        before: Told | None = None,
    ) -> Changed:
        """Make these the whole mesh, touching only what differs.

        With `before`, what its source said last, only those are replaced, and the rest stays.
        """
        if before is None:
            before = Told(
                frozenset(self.workloads.by_uid), frozenset(self.services.by_key), frozenset(self.policies.keys())
            )
        with self.batch():
            return Changed(
                self._replace_workloads({w.uid: w for w in workloads}, before.workloads),
                self._replace_services({s.key: s for s in services}, before.services),
                self._replace_policies({p.key: p for p in policies}, before.policies),
            )

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Changes made inside count as one, and watchers hear of them once, at the end."""
        self._batches += 1
        try:
            yield
        finally:
            self._batches -= 1
            if self._dirty and not self._batches:
                self._changed()

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after every change (or batch), until the returned function is called."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    @property
    def verdict_version(self) -> tuple[int, int]:
        """Differs whenever verdicts about connections to our workloads may: most changes of a mesh are elsewhere."""
        return self.policies.version, self._local_changes

    # Lookups

    def find_address(
        self, network: str, ip: IpAddress, namespace: str | None = None
    ) -> Workload | ServiceRecord | None:
        """Who has this address: a workload first, else a service (2.2)."""
        return self.workloads.at(network, ip) or self.services.at(network, ip, namespace)

    def find_hostname(self, name: NamespacedHostname) -> Workload | ServiceRecord | None:
        """Who has this name: a service first, else a workload (2.3)."""
        return self.services.by_key.get(name) or self.workloads.named(name)

    def find_destination(self, destination: NetworkAddress | NamespacedHostname) -> Workload | ServiceRecord | None:
        """Who a gateway reference means."""
        if isinstance(destination, NetworkAddress):
            return self.find_address(destination.network, destination.ip)
        return self.find_hostname(destination)

    def find_local_workload(self, name: str, namespace: str, service_account: str) -> Workload | None:
        """The workload of this node with that pod name, namespace and service account (2.1)."""
        found = self.workloads.called(name, namespace, service_account)
        return next((workload for workload in found if self.is_local(workload)), None)

    def find_local_address(self, ip: IpAddress) -> Workload | None:
        """The workload of this node and network that has the address."""
        found = self.workloads.at(self.network, ip)
        return found if found is not None and self.is_local(found) else None

    def is_local(self, workload: Workload) -> bool:
        """Whether the workload is on this proxy's node."""
        return self.node is None or workload.node == self.node

    def services_of(self, workload: Workload) -> list[ServiceRecord]:
        """The known services that the workload serves."""
        known = self.services.by_key
        keys = (*workload.services, *self.services.naming(workload.uid))
        return [known[key] for key in dict.fromkeys(keys) if key in known]

    def _changed(self) -> None:
        self._dirty = self._batches > 0
        if not self._dirty:
            self.version += 1
            for callback in tuple(self._watchers):
                callback()

    def _replace_workloads(self, new: dict[str, Workload], before: frozenset[str]) -> int:
        gone = before - new.keys()
        fresh = [w for w in new.values() if self.workloads.by_uid.get(w.uid) != w]
        for uid in gone:
            self.remove_workload(uid)
        for workload in fresh:
            self.upsert_workload(workload)
        return len(gone) + len(fresh)

    def _replace_services(self, new: dict[NamespacedHostname, Service], before: frozenset[NamespacedHostname]) -> int:
        known = self.services.by_key
        gone = before - new.keys()
        fresh = [s for s in new.values() if s.key not in known or known[s.key].service != s]
        for key in gone:
            self.remove_service(key)
        for service in fresh:
            self.upsert_service(service)
        return len(gone) + len(fresh)

    def _replace_policies(self, new: dict[str, Policy], before: frozenset[str]) -> int:
        gone = before - new.keys()
        fresh = [policy for key, policy in new.items() if self.policies.get(key) != policy]
        for key in gone:
            self.remove_policy(key)
        for policy in fresh:
            self.upsert_policy(policy)
        return len(gone) + len(fresh)
