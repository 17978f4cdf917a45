"""A TCP connection to a control plane: every address of a name in turn, within one deadline."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Final

from hbone_py.aio.tcp import SocketOptions
from mesh_py.rpc.errors import DialFailed

if TYPE_CHECKING:
    from mesh_py.rpc.endpoint import Address

RPC_OPTIONS: Final = SocketOptions(keepalive_idle=300, keepalive_interval=75, keepalive_retries=9)
"""TCP keepalive as the real ztunnel has it towards its control plane (hbone-controlplane 2.1)."""


async def connected_socket(address: Address, options: SocketOptions, seconds: float) -> socket.socket:
    """A connected socket that does not block, within `seconds`.

    Raises:
        DialFailed: the name is not known, or no address of it answers.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    candidates = await _resolved(address, seconds)
    problems: list[str] = []
    for number, (family, where) in enumerate(candidates):
        # One dead address must not use up the time of the others.
        share = (deadline - loop.time()) / (len(candidates) - number)
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            options.apply(sock)
            async with asyncio.timeout(share):
                await loop.sock_connect(sock, where)
        except TimeoutError:
            sock.close()
            problems.append(f"{where[0]}: no answer in time")
        except OSError as error:
            sock.close()
            # asyncio words it in its own way, uvloop as the kernel does: this is the kernel's.
            problems.append(f"{where[0]}: {os.strerror(error.errno) if error.errno else error}")
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise DialFailed(f"cannot connect to {address} ({'; '.join(problems)}): is the control plane up?")


async def _resolved(address: Address, seconds: float) -> list[tuple[int, tuple[str, int]]]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise DialFailed(f"cannot connect to {address}: looking up the name took over {seconds:g} s") from None
    except OSError as error:
        raise DialFailed(f"cannot connect to {address}: no such name ({error.strerror or error})") from error
    return [(family, where) for family, _, _, _, where in found]  # type: ignore[misc]  # IPv6 has two fields more
