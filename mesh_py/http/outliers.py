"""Endpoints that fail again and again, taken out for a while (Envoy's outlier detection) [pure]."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from mesh_py.http.balancing import Host


class Outcome(Enum):
    """How a request to an endpoint ended."""

    OK = "ok"
    SERVER_ERROR = "5xx"
    """It answered 500 or above, but not as a gateway."""
    GATEWAY_ERROR = "gateway"
    """502, 503, 504, or it was not reached, reset, or too slow."""

    @staticmethod
    def of(status: int) -> Outcome:
        """By the status of an answer."""
        if status < 500:
            return Outcome.OK
        return Outcome.GATEWAY_ERROR if status in (502, 503, 504) else Outcome.SERVER_ERROR


@dataclass(frozen=True, slots=True)
class OutlierRules:
    """DestinationRule's `outlierDetection`, with Istio's defaults. Times are seconds; 0 errors: never."""

    consecutive_5xx: int = 5
    consecutive_gateway_errors: int = 0
    interval: float = 10.0
    """Between looks at who may come back."""
    base_ejection_time: float = 30.0
    """Times the number of ejections in a row."""
    max_ejection_time: float = 300.0
    max_ejection_percent: int = 10
    """Of the endpoints at once; one may always be."""


@dataclass(slots=True)
class _Record:
    failures: int = 0
    gateway_failures: int = 0
    ejections: int = 0
    """In a row; one less for each interval without a failure in it."""
    until: float = 0.0


class OutlierDetector:
    """The memory of one backend. `record` and `release` say whether the host set has changed."""

    def __init__(self, rules: OutlierRules) -> None:
        self._rules = rules
        self._records: dict[str, _Record] = {}
        self._next_look = 0.0
        self.ejections = 0
        """So far, for the statistics."""

    def record(self, host: Host[Any], outcome: Outcome, hosts: Mapping[str, Host[Any]], now: float) -> bool:
        """A request to `host`, one of `hosts`, ended. Whether that was one failure too many."""
        record = self._records.get(host.address)
        if outcome is Outcome.OK:
            if record is not None:
                record.failures = record.gateway_failures = 0
            return False
        if record is None:
            record = self._records[host.address] = _Record()
        record.failures += 1
        record.gateway_failures = record.gateway_failures + 1 if outcome is Outcome.GATEWAY_ERROR else 0
        if host.is_ejected or not self._is_outlier(record) or not self._may_eject(hosts):
            return False
        self._eject(host, record, now)
        return True

    def _is_outlier(self, record: _Record) -> bool:
        rules = self._rules
        return (0 < rules.consecutive_5xx <= record.failures) or (
            0 < rules.consecutive_gateway_errors <= record.gateway_failures
        )

    def _may_eject(self, hosts: Mapping[str, Host[Any]]) -> bool:
        ejected = sum(host.is_ejected for host in hosts.values())
        return ejected == 0 or (ejected + 1) * 100 <= self._rules.max_ejection_percent * len(hosts)

    def _eject(self, host: Host[Any], record: _Record, now: float) -> None:
        record.ejections += 1
        record.failures = record.gateway_failures = 0
        record.until = now + min(self._rules.base_ejection_time * record.ejections, self._rules.max_ejection_time)
        host.is_ejected = True
        self.ejections += 1

    def release(self, hosts: Mapping[str, Host[Any]], now: float) -> bool:
        """Let those back whose time is over. Call it every interval; earlier calls do nothing."""
        if now < self._next_look:
            return False
        self._next_look = now + self._rules.interval
        for address in self._records.keys() - hosts.keys():
            del self._records[address]
        changed = False
        for address, record in self._records.items():
            host = hosts[address]
            if host.is_ejected and now >= record.until:
                host.is_ejected = False
                changed = True
            elif not host.is_ejected and not record.failures and record.ejections:
                record.ejections -= 1
        return changed
