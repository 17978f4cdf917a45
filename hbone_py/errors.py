"""Every error the tunnel raises on purpose, with the answer it deserves [pure].

A class knows three things, so that one handler serves all of them and no table can be forgotten: the status a
CONNECT is answered with (hbone-dataplane 1.5), the response flag its access log line carries (7.5), and whose
fault it was. After the 200 a status can no longer be sent: the stream is reset instead.
"""

from __future__ import annotations

from enum import IntEnum
from http import HTTPStatus
from typing import ClassVar, Literal

Blame = Literal["local", "peer", "application", "policy", "network"]


class ErrorCode(IntEnum):
    """HTTP/2 error codes (RFC 9113 section 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


def code_name(code: int) -> str:
    """The RFC 9113 name of an error code, or ``0x..`` for a code the RFC does not name."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"{code:#x}"


class HboneError(Exception):
    """Base of every error raised on purpose."""

    status: ClassVar[int] = 503
    flag: ClassVar[str] = "CONNECT"
    blame: ClassVar[Blame] = "local"


# TLS ---------------------------------------------------------------


class TlsError(HboneError):
    """TLS broke on a connection that was already up: an alert, a bad record, a truncated stream."""

    blame: ClassVar[Blame] = "peer"


class TlsHandshakeError(TlsError):
    """The TLS handshake failed; the text names the alert or the reason."""


class TlsConfigError(TlsError):
    """A certificate, key or TLS setting of ours cannot be used; the text names the file and the reason."""

    flag = "TLS_FAILURE"
    blame: ClassVar[Blame] = "local"


class PeerIdentityError(TlsError):
    """The peer's certificate is genuine but names nobody we were willing to talk to."""


# The connection ---------------------------------------------------------------


class ConnectionFailed(HboneError):
    """TCP could not be established: refused, unreachable."""

    blame: ClassVar[Blame] = "network"


class ConnectionLost(HboneError):
    """The connection ended while this stream was open: its bytes may be cut short."""

    flag = "H2_HANDSHAKE_FAILURE"
    blame: ClassVar[Blame] = "peer"


class ConnectionClosing(HboneError):
    """No new tunnel may be opened here: the peer sent GOAWAY, or stream numbers are used up. Try a new connection."""

    flag = "H2_HANDSHAKE_FAILURE"
    blame: ClassVar[Blame] = "peer"


class TooManyStreams(ConnectionClosing):
    """The peer's MAX_CONCURRENT_STREAMS is reached; another connection may carry the tunnel."""


class RemoteProtocolError(HboneError):
    """The peer broke HTTP/2; the connection was ended with `code`."""

    flag = "H2_HANDSHAKE_FAILURE"
    blame: ClassVar[Blame] = "peer"

    def __init__(self, message: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> None:
        super().__init__(message)
        self.code = code


# Deadlines: each is logged in its own words ---------------------------------------------------------------


class DeadlineExceeded(HboneError):
    """Something that has to happen in time did not."""

    blame: ClassVar[Blame] = "peer"


class ConnectTimeout(DeadlineExceeded):
    """TCP was not established in time."""

    flag = "NETWORK_POLICY"
    blame: ClassVar[Blame] = "network"


class TlsTimeout(DeadlineExceeded):
    """The TLS handshake did not end in time."""


class SettingsTimeout(DeadlineExceeded):
    """The peer's SETTINGS did not arrive in time."""

    flag = "H2_HANDSHAKE_FAILURE"


class ConnectReplyTimeout(DeadlineExceeded):
    """The peer did not answer a CONNECT in time."""

    flag = "H2_HANDSHAKE_FAILURE"


# One tunnel ---------------------------------------------------------------


class TunnelRefused(HboneError):
    """The peer answered our CONNECT with something other than 200."""

    blame: ClassVar[Blame] = "peer"

    def __init__(self, answered: int) -> None:
        super().__init__(f"http status: {answered} {_REASONS.get(answered, '')}".rstrip())
        self.answered = answered
        """The status it answered with; `status` is what *we* would answer on account of it."""


_REASONS = {status.value: status.phrase for status in HTTPStatus}


class StreamReset(HboneError):
    """The stream was reset, by the peer or (`by_peer` false) by us."""

    flag = "H2_HANDSHAKE_FAILURE"
    blame: ClassVar[Blame] = "peer"

    def __init__(self, code: int, *, by_peer: bool = True) -> None:
        super().__init__(f"stream reset {'by the peer' if by_peer else 'by us'}: {code_name(code)}")
        self.code = code
        self.by_peer = by_peer


class StreamEnded(HboneError):
    """Bytes were offered to a direction that has already ended."""


class LocalProtocolError(HboneError):
    """Our own side asked for what HTTP/2 does not allow in this state; nothing was sent."""


class BadConnect(HboneError):
    """A well-formed request that asks for something a tunnel cannot be: answered with 400."""

    status = 400
    blame: ClassVar[Blame] = "peer"


class MalformedRequest(HboneError):
    """A request that breaks RFC 9113 section 8: its stream is reset, nothing else is touched."""

    blame: ClassVar[Blame] = "peer"
    code: ClassVar[ErrorCode] = ErrorCode.PROTOCOL_ERROR
