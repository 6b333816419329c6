"""Servers that pass connections on: to listen elsewhere, or to rename a phone."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Generator

import pytest


def ipv6_relay(port: int) -> contextlib.AbstractContextManager[int]:
    """Pass connections to a port of ::1 on to ``port`` of 127.0.0.1."""

    def handle(near: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port)) as far:
            _both_ways(near, far)

    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    return _listening(socket.AF_INET6, "::1", handle)


def renaming_server(port: int, real: str, told: str) -> contextlib.AbstractContextManager[int]:
    """Pass everything on to an adb server, but call one of its phones by another serial."""

    def handle(near: socket.socket) -> None:
        stream = near.makefile("rb")
        request = stream.read(int(stream.read(4), 16)).decode()
        with socket.create_connection(("127.0.0.1", port)) as far:
            asked = request.replace(told, real).encode()
            far.sendall(f"{len(asked):04x}".encode() + asked)
            if request == "host:devices":
                reply = far.makefile("rb").read().decode()
                listing = reply[8:].replace(real, told).encode()
                near.sendall(f"OKAY{len(listing):04x}".encode() + listing)
                return
            _both_ways(near, far)

    return _listening(socket.AF_INET, "127.0.0.1", handle)


def _both_ways(near: socket.socket, far: socket.socket) -> None:
    back = threading.Thread(target=_pour, args=(far, near))
    back.start()
    _pour(near, far)
    back.join()


@contextlib.contextmanager
def _listening(family: int, host: str, handle: Callable[[socket.socket], None]) -> Generator[int]:
    """Listen on a free port and give every connection to ``handle``, in a thread of its own."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            handle(self.request)

    class Server(socketserver.ThreadingTCPServer):
        address_family = family
        daemon_threads = True

    with Server((host, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _pour(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
