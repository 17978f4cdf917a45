"""The chain that runs filters [pure]. Compiled, as every request passes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mesh_py.http.errors import HttpError
from mesh_py.http.filters.base import BlindToAnswers, Continue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesh_py.http.filters.base import Ask, Delay, HttpFilter, Respond
    from mesh_py.http.filters.stream_info import StreamInfo
    from mesh_py.http.messages import HttpRequest, HttpResponse


class FilterFailed(HttpError):
    """A filter broke: the request does not pass."""

    status = 500
    body = "Internal Server Error"

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(f"filter {name}: {type(error).__name__}: {error}")


class Halt(NamedTuple):
    """Where a chain stands: what to do before it goes on, and which filter comes then."""

    step: Respond | Delay | Ask | None
    """None: all filters have passed the request."""
    position: int


class FilterChain:
    """An ordered list of filters, run as one."""

    __slots__ = ("_on_the_way_back", "_passed", "filters")

    def __init__(self, filters: Sequence[HttpFilter]) -> None:
        self.filters = tuple(filters)
        seeing = [(index, one) for index, one in enumerate(filters) if not isinstance(one, BlindToAnswers)]
        self._on_the_way_back = tuple(reversed(seeing))
        self._passed = Halt(None, len(self.filters))

    def run(self, request: HttpRequest, info: StreamInfo, position: int = 0) -> Halt:
        """Hand the request to the filters from `position` on, until one wants something done.

        Raises:
            HttpError: a filter refuses the request, or broke.
        """
        for index in range(position, len(self.filters)):
            one = self.filters[index]
            info.reached = index + 1
            try:
                step = one.on_request(request, info)
            except HttpError:
                raise
            except Exception as error:
                raise FilterFailed(type(one).__name__, error) from error
            if not isinstance(step, Continue):
                return Halt(step, index + 1)
        return self._passed

    def finish(self, response: HttpResponse, info: StreamInfo) -> None:
        """Show the answer to the filters that have seen the request, the last one first.

        Raises:
            FilterFailed: one of them broke.
        """
        for index, one in self._on_the_way_back:
            if index >= info.reached:
                continue
            try:
                one.on_response(response, info)
            except Exception as error:
                raise FilterFailed(type(one).__name__, error) from error
