"""The smart sockets of an adb server: a service is asked for by name, and answered OKAY or FAIL.

Of adbutils only the adb program is used. Its own connection knows IPv4 alone, starts a server of
this host where a remote one does not answer, on whatever port and into our output, and sends a
command without making sure that all of it went.
"""

from __future__ import annotations

import socket

from cnn_export.errors import UsageError

_CONNECT_S, _REPLY_S = 5.0, 30.0


class Refused(Exception):
    """The server, or the phone through it, answered FAIL: the words are its own."""


def connect(host: str, port: int) -> socket.socket:
    """Connect to a name or an address of either family, once; nothing is started.

    Raises:
        OSError: nobody answers.
    """
    opened = socket.create_connection((host, port), _CONNECT_S)
    opened.settimeout(None)
    _keep_alive(opened)
    return opened


def _keep_alive(opened: socket.socket) -> None:
    """Let the kernel notice within a minute that a remote server is gone."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # not every system names them
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def request(opened: socket.socket, service: str) -> None:
    """Ask for a service; afterwards the connection is the service's.

    Raises:
        Refused: the server or the phone will not, hangs up (``closed``) or gives no answer.
        UsageError: the name is longer than the protocol allows.
    """
    encoded = service.encode()
    if len(encoded) > 0xFFFF:
        raise UsageError(f"a command for the phone has {len(encoded)} bytes, adb takes 65535")
    try:
        opened.settimeout(_REPLY_S)
        opened.sendall(f"{len(encoded):04x}".encode() + encoded)
        answer = receive(opened, 4)
        if answer == b"FAIL":
            raise Refused(receive_text(opened))
        opened.settimeout(None)
    except EOFError as error:
        raise Refused("closed") from error
    except (OSError, ValueError) as error:
        raise Refused(f"no answer ({getattr(error, 'strerror', None) or error})") from error
    if answer != b"OKAY":
        raise Refused(f"unknown answer {answer!r}")


def receive_text(opened: socket.socket) -> str:
    """Return a text that comes behind its length, four hexadecimal digits.

    Raises:
        OSError, EOFError: the connection ended before.
        ValueError: no such length comes.
    """
    return receive(opened, int(receive(opened, 4), 16)).decode(errors="replace")


def receive(opened: socket.socket, count: int) -> bytes:
    """Return ``count`` bytes.

    Raises:
        OSError, EOFError: the connection ended before.
    """
    data = bytearray()
    while len(data) < count:
        part = opened.recv(count - len(data))
        if not part:
            raise EOFError("the connection was closed")
        data += part
    return bytes(data)
