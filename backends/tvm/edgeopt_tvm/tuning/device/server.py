"""Serves TVM's RPC on a device, to the one who knows the key, on the loopback interface only.

    python3 server.py FOLDER KEY

Whoever reaches a server of TVM's RPC can run anything: it is bound to 127.0.0.1, and the device's
transport brings it to the host. Each session is a process of its own, which is killed when its time
is up. The server ends when FOLDER/stop appears, or when nobody has asked for ten minutes.
It runs on Python 3.9, with the package apache-tvm.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import struct
import sys
import time
from typing import Any

os.environ["TVM_USE_RUNTIME_LIB"] = "1"
sys.modules.setdefault("torch", None)  # type: ignore[arg-type]  # TVM would load it, for seconds

_IDLE_S = 600.0
_KEY_BYTES = 256


def main(folder: str, key: str) -> None:
    """Serves until it is told to stop."""
    from tvm.rpc import base, server

    multiprocessing.set_start_method("fork", force=True)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(4)
    listening.settimeout(0.5)
    _announce(folder, listening.getsockname()[1])
    contact = time.monotonic()
    while not os.path.exists(os.path.join(folder, "stop")) and time.monotonic() - contact < _IDLE_S:
        try:
            connection, address = listening.accept()
        except socket.timeout:  # noqa: UP041 (another one before Python 3.10)
            continue
        contact = time.monotonic()
        try:
            connection.settimeout(10)
            options = _greeted(connection, key, base)
            if options is not None:
                connection.settimeout(None)
                parsed = server._parse_server_opt(options)  # noqa: SLF001 (TVM has no other way in)
                server._serving(connection, address, parsed, None)  # noqa: SLF001 (as above)
        except Exception as error:  # noqa: BLE001 # a session that died is its client's business
            print("session ended:", error, file=sys.stderr, flush=True)
        finally:
            connection.close()


def _announce(folder: str, port: int) -> None:
    """Writes the port where the host looks for it, whole or not at all."""
    path = os.path.join(folder, "port")
    with open(path + ".new", "w") as stream:
        stream.write(str(port))
    os.replace(path + ".new", path)


def _greeted(connection: socket.socket, key: str, base: Any) -> list[str] | None:
    """Returns a client's options after the greeting of TVM's RPC, None for one without the key."""
    if struct.unpack("<i", base.recvall(connection, 4))[0] != base.RPC_MAGIC:
        return None
    length = struct.unpack("<i", base.recvall(connection, 4))[0]
    if not 0 < length <= _KEY_BYTES:
        return None
    words = base.recvall(connection, length).decode("utf-8").split()
    if words[:1] != ["client:" + key]:
        connection.sendall(struct.pack("<i", base.RPC_CODE_MISMATCH))
        return None
    answer = ("server:" + key).encode("utf-8")
    connection.sendall(struct.pack("<i", base.RPC_CODE_SUCCESS))
    connection.sendall(struct.pack("<i", len(answer)) + answer)
    return [str(word) for word in words[1:]]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
