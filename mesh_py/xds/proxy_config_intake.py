"""Takes in what the control plane says of this one proxy (docs/proxy-config.md).

Beside the mesh: `Intake(state, {PROXY_CONFIG: ProxyConfigIntake(changed).take})`, with an `Interest(PROXY_CONFIG)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.xds.decode import RejectedResource
from mesh_py.xds.intake import Taken
from mesh_py.xds.proxy_config import decode_proxy_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.manifests.proxy_config import ProxyConfig
    from mesh_py.xds.delta import Response


class ProxyConfigIntake:
    """Holds the last configuration that could be used.

    Args:
        changed: called with each new one, or None when the control plane knows the proxy no more. It raises
            RejectedResource for one that cannot be carried out; the last one then stays.
    """

    def __init__(self, changed: Callable[[ProxyConfig | None], None]) -> None:
        self.config: ProxyConfig | None = None
        self._changed = changed

    async def take(self, response: Response) -> Taken:
        """Apply a response: what comes, then what goes."""
        taken = Taken()
        for resource in response.resources:
            try:
                self._put(decode_proxy_config(resource.data, resource.name))
            except RejectedResource as error:
                taken.rejected[resource.name] = str(error)
        if self.config is not None and self.config.name in response.removed:
            self._put(None)
        return taken

    def _put(self, config: ProxyConfig | None) -> None:
        # A resource that is sent again unchanged, as after a reconnect, is no change.
        if config != self.config:
            self._changed(config)
            self.config = config
