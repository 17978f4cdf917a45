"""Header fields in their order, with lower-case names [pure].

Names and values are text in which every character is one byte (latin-1), so that whatever came in goes out
unchanged. Names are lower case in both versions of HTTP, as Envoy writes them: HTTP/2 wants it, HTTP/1 does not care.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Field = tuple[str, str]

CLIENT_CERT = "x-forwarded-client-cert"
NOT_IN_TRAILERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade"}
    | {"authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "cookie", "set-cookie"}
    | {"content-type", "content-encoding", "content-range", "range", "expect", "cache-control", "location"}
    | {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", CLIENT_CERT}
)
"""What says how to read a message, who sends it, or what to do about it, is said before the body or not at all.

See RFC 9110 6.5.1. No policy has judged a trailer, and applications there are that put it among the fields of the head.
"""


def spelled(name: str) -> str:
    """A lower-case name; `x_forwarded_client_cert` and its like become what they pretend to be.

    CGI and WSGI make one variable of both spellings, so that an application would believe whichever came last.
    """
    if "_" in name and name.replace("_", "-") == CLIENT_CERT:
        return CLIENT_CERT
    return name


class Headers:
    """An ordered list of fields. `fields` may be read directly by who is in a hurry; names must be lower case."""

    __slots__ = ("fields",)

    def __init__(self, fields: Iterable[Field] = ()) -> None:
        self.fields: list[Field] = list(fields)

    @staticmethod
    def of(fields: list[Field]) -> Headers:
        """Over this very list, which nobody else uses from now on."""
        headers = Headers.__new__(Headers)
        headers.fields = fields
        return headers

    def get(self, name: str) -> str | None:
        """The value of the first field of that name, None without one."""
        for field, value in self.fields:
            if field == name:
                return value
        return None

    def firsts(self) -> dict[str, str]:
        """The value of the first field of each name, for who asks for several."""
        return dict(reversed(self.fields))

    def get_all(self, name: str) -> list[str]:
        """Every value of that name, in order."""
        return [value for field, value in self.fields if field == name]

    def joined(self, name: str) -> str | None:
        """Every value of that name as one list (RFC 9110 5.2), None without one. Not for `set-cookie`."""
        found: str | None = None
        for field, value in self.fields:
            if field == name:
                found = value if found is None else f"{found},{value}"
        return found

    def add(self, name: str, value: str) -> None:
        """One more field at the end."""
        self.fields.append((name, value))

    def set(self, name: str, value: str) -> None:
        """Exactly one field of that name, where the first one stood, or at the end."""
        fields = self.fields
        first = -1
        for index, field in enumerate(fields):
            if field[0] != name:
                continue
            if first >= 0:
                fields[index:] = [other for other in fields[index:] if other[0] != name]
                return
            first = index
            fields[index] = (name, value)
        if first < 0:
            fields.append((name, value))

    def append(self, name: str, value: str) -> None:
        """Join the value to the field's list, as Envoy's APPEND of `x-forwarded-for` does, or add the field."""
        if name not in self:
            self.fields.append((name, value))
            return
        present = self.joined(name)
        self.set(name, value if not present else f"{present},{value}")

    def drop(self, *names: str) -> None:
        """No field of these names remains."""
        for field in self.fields:
            if field[0] in names:
                self.fields = [field for field in self.fields if field[0] not in names]
                return

    def copy(self) -> Headers:
        """The same fields in a list of their own."""
        return Headers(self.fields)

    def __contains__(self, name: str) -> bool:
        for field in self.fields:  # noqa: SIM110 - asked for every request: no generator
            if field[0] == name:
                return True
        return False

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.fields == other.fields

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({self.fields!r})"
