"""What a connection does while the certificate of its workload is being signed elsewhere: it waits, not for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.errors import HboneError
from mesh_py.identity.certificates import CertificateUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.pool import Attempt
    from hbone_py.identity import SpiffeId
    from ztunnel_py.context import ProxyContext


def wait_for_certificate(
    context: ProxyContext,
    identity: SpiffeId,
    answered: Callable[[], None],
    too_late: Callable[[HboneError], None],
) -> Callable[[], None]:
    """Call `answered` once the fetch under way has ended, however it did, or `too_late` at the deadline.

    What is returned gives up waiting.
    """
    seconds = context.settings.certificate_wait

    def give_up() -> None:
        timer.cancel()
        take_back()

    def answer() -> None:
        timer.cancel()
        answered()

    def expire() -> None:
        take_back()
        too_late(CertificateUnavailable(identity, f"the authority has not answered within {seconds:g} s"))

    timer = context.reactor.wheel.after(seconds, expire)
    take_back = context.certificates.on_answer(identity, answer)
    return give_up


class CertificateFirst:
    """A connection (an `Attempt`) that begins once the certificate is here."""

    def __init__(
        self,
        context: ProxyContext,
        identity: SpiffeId,
        begin: Callable[[], Attempt],
        failed: Callable[[HboneError], None],
    ) -> None:
        """`begin` may raise HboneError; `failed` hears of that, and of the deadline."""
        self._begin, self._failed = begin, failed
        self._attempt: Attempt | None = None
        self._is_cancelled = False
        self._give_up = wait_for_certificate(context, identity, self._go_on, failed)

    def cancel(self) -> None:
        """Stop waiting, or connecting."""
        self._is_cancelled = True
        self._give_up()
        if self._attempt is not None:
            self._attempt.cancel()

    def _go_on(self) -> None:
        if self._is_cancelled:
            return
        try:
            self._attempt = self._begin()
        except HboneError as error:
            self._failed(error)
