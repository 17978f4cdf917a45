"""Settings from YAML: `--config FILE`, and the two places where Istio puts a ProxyConfig [pure].

The file is a mapping of setting names to values, and strict: an unknown name is a fault with its place. Istio's
forms (hbone-dataplane 9, `PROXY_CONFIG` and the mesh file) hold much that is not for us, so there what we do not
know is passed over.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from mesh_py.discovery.problems import ConfigError
from mesh_py.discovery.yaml_reader import Fault, Reader, compose, pairs, scalar
from mesh_py.settings.source import Given, SettingsError

META = "ISTIO_META_"
"""Begins what a ProxyConfig has us tell the control plane, a setting of ours or not (hbone-controlplane 2.2)."""

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import yaml

    from mesh_py.settings.setting import Setting, SettingsTable

    ProxyConfigKeys = Mapping[str, Setting[Any]]
    """The settings of a role that stand in a ProxyConfig under keys of its own, such as `proxyAdminPort`."""


def read_settings_file(table: SettingsTable, text: str, file: str) -> dict[str, Given]:
    """The values of a settings file. Raises SettingsError, naming the first fault's line and column."""
    reader = Reader(file)
    found: dict[str, Given] = {}
    try:
        for key_node, value_node in pairs(compose(text, file)):
            reader.attempt(lambda node, value=value_node: _take(table, found, file, node, value), key_node)  # type: ignore[misc]
        reader.finish()
    except (ConfigError, Fault) as error:
        raise SettingsError(_first(file, error)) from None
    return found


def read_proxy_config(table: SettingsTable, keys: ProxyConfigKeys, text: str, origin: str) -> dict[str, Given]:
    """The values of a ProxyConfig, or of a MeshConfig's `defaultConfig`. Raises SettingsError where it is no YAML.

    Args:
        keys: what stands under keys of its own; all settings may stand in its `proxyMetadata`, where every
            `ISTIO_META_*` is kept under that name as well.
    """
    try:
        root = compose(text, origin)
        config = _child(root, "defaultConfig") or root
        found = dict(_proxy_config_values(keys, config, origin))
        return found | dict(_metadata(table, config, origin))
    except (ConfigError, Fault) as error:
        raise SettingsError(_first(origin, error)) from None


def _take(table: SettingsTable, found: dict[str, Given], file: str, key_node: yaml.Node, value_node: yaml.Node) -> None:
    name = scalar(key_node)
    setting = table.by_name.get(name)
    if setting is None:
        raise Fault(key_node, f"unknown setting {name!r}", _advice(table, name))
    if setting.name in found:
        raise Fault(key_node, f"setting {setting.name} appears twice", "remove one")
    mark = value_node.start_mark
    text = scalar(value_node)
    if text or setting.may_be_empty:
        found[setting.name] = Given(text, f"{file}:{mark.line + 1}:{mark.column + 1}: {name}")


def _advice(table: SettingsTable, name: str) -> str:
    close = get_close_matches(name.upper(), table.by_name, n=1)
    return f"did you mean {close[0]}?" if close else "`config show` lists the names"


def _proxy_config_values(keys: ProxyConfigKeys, config: yaml.Node, origin: str) -> Iterator[tuple[str, Given]]:
    for key, setting in keys.items():
        if (node := _child(config, key)) is not None:
            yield setting.name, Given(scalar(node), f"{origin}: {key}")


def _metadata(table: SettingsTable, config: yaml.Node, origin: str) -> Iterator[tuple[str, Given]]:
    metadata = _child(config, "proxyMetadata")
    for key_node, value_node in pairs(metadata) if metadata is not None else ():
        name = str(key_node.value)
        setting = table.by_name.get(name) or table.by_name.get(name.removeprefix("ISTIO_META_"))
        given = Given(scalar(value_node), f"{origin}: proxyMetadata {name}")
        if setting is not None:
            yield setting.name, given
        if name.startswith(META):
            yield name, given


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    return next((value for name, value in pairs(node) if name.value == key), None)


def _first(file: str, error: ConfigError | Fault) -> str:
    if isinstance(error, ConfigError):
        return str(error.problems[0])
    reader = Reader(file)
    reader.note(error)
    return str(reader.problems[0])
