"""Become another program that can open no VM sockets: ``without_vsock.py COMMAND…``.

adbd listens on TCP, which a network namespace holds in, and on a VM socket, which it does not: on
a virtual machine its host could open a shell. A seccomp filter refuses that family of sockets.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

AF_VSOCK = 40
_X86_64 = 0xC000003E
_SOCKET = 41
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _MACHINE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16

FILTER = (
    (_LOAD, 0, 0, _MACHINE_AT),
    (_EQUAL, 1, 0, _X86_64),
    (_RETURN, 0, 0, _KILL),
    (_LOAD, 0, 0, _NUMBER_AT),
    (_EQUAL, 0, 3, _SOCKET),
    (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
    (_EQUAL, 0, 1, AF_VSOCK),
    (_RETURN, 0, 0, _REFUSE | errno.EAFNOSUPPORT),
    (_RETURN, 0, 0, _ALLOW),
)
"""Berkeley packet filter: code, jump if true, jump if false, operand."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def refuse_vsock() -> None:
    """Refuse the family to this process and all that it starts. Raises ``OSError``."""
    code = b"".join(struct.pack("<HBBI", *line) for line in FILTER)
    held = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(FILTER), ctypes.cast(held, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    for words in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*words) != 0:
            raise OSError(ctypes.get_errno(), "the kernel takes no seccomp filter")


if __name__ == "__main__":
    refuse_vsock()
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - no shell is meant
