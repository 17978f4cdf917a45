"""Settings from YAML: `--config FILE`, and the two places where Istio puts a ProxyConfig [pure].

The file is a mapping of setting names to values, and strict: an unknown name is a fault with its place. Istio's
forms (hbone-dataplane 9, `PROXY_CONFIG` and the mesh file) hold much that is not for us, so there what we do not
know is passed over.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from mesh_py.discovery.problems import ConfigError
from mesh_py.discovery.yaml_reader import Fault, Reader, compose, pairs, scalar
from ztunnel_py.settings_source import Given, SettingsError
from ztunnel_py.settings_table import ADMIN_PORT, BY_NAME, STATS_PORT, WORKERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import yaml

_PROXY_CONFIG_KEYS = {"proxyAdminPort": ADMIN_PORT, "statsPort": STATS_PORT, "concurrency": WORKERS}


def read_settings_file(text: str, file: str) -> dict[str, Given]:
    """The values of a settings file. Raises SettingsError, naming the first fault's line and column."""
    reader = Reader(file)
    found: dict[str, Given] = {}
    try:
        for key_node, value_node in pairs(compose(text, file)):
            reader.attempt(lambda node, value=value_node: _take(found, file, node, value), key_node)  # type: ignore[misc]
        reader.finish()
    except (ConfigError, Fault) as error:
        raise SettingsError(_first(file, error)) from None
    return found


def read_proxy_config(text: str, origin: str) -> dict[str, Given]:
    """The values of a ProxyConfig, or of a MeshConfig's `defaultConfig`. Raises SettingsError where it is no YAML."""
    try:
        root = compose(text, origin)
        config = _child(root, "defaultConfig") or root
        found = dict(_proxy_config_values(config, origin))
        return found | dict(_metadata(config, origin))
    except (ConfigError, Fault) as error:
        raise SettingsError(_first(origin, error)) from None


def _take(found: dict[str, Given], file: str, key_node: yaml.Node, value_node: yaml.Node) -> None:
    name = scalar(key_node)
    setting = BY_NAME.get(name)
    if setting is None:
        raise Fault(key_node, f"unknown setting {name!r}", _advice(name))
    if setting.name in found:
        raise Fault(key_node, f"setting {setting.name} appears twice", "remove one")
    mark = value_node.start_mark
    if text := scalar(value_node):
        found[setting.name] = Given(text, f"{file}:{mark.line + 1}:{mark.column + 1}: {name}")


def _advice(name: str) -> str:
    close = get_close_matches(name.upper(), BY_NAME, n=1)
    return f"did you mean {close[0]}?" if close else "`config show` lists the names"


def _proxy_config_values(config: yaml.Node, origin: str) -> Iterator[tuple[str, Given]]:
    for key, setting in _PROXY_CONFIG_KEYS.items():
        if (node := _child(config, key)) is not None:
            yield setting.name, Given(scalar(node), f"{origin}: {key}")


def _metadata(config: yaml.Node, origin: str) -> Iterator[tuple[str, Given]]:
    metadata = _child(config, "proxyMetadata")
    for key_node, value_node in pairs(metadata) if metadata is not None else ():
        setting = BY_NAME.get(str(key_node.value)) or BY_NAME.get(str(key_node.value).removeprefix("ISTIO_META_"))
        if setting is not None:
            yield setting.name, Given(scalar(value_node), f"{origin}: proxyMetadata {key_node.value}")


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    return next((value for name, value in pairs(node) if name.value == key), None)


def _first(file: str, error: ConfigError | Fault) -> str:
    if isinstance(error, ConfigError):
        return str(error.problems[0])
    reader = Reader(file)
    reader.note(error)
    return str(reader.problems[0])
