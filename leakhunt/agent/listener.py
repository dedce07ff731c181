"""The listener: a thread that sleeps in accept() until `leakhunt attach` connects; only where that was asked for.

An abstract socket: it has no file that could stay behind, and goes with the process. Only the process's own user and
root are heard. What is said is what `payload.py` reads: action, run folder and options, separated by zero bytes.
"""

import os
import sys
from _thread import start_new_thread

from . import __builtins__

try:
    from _signal import SIG_BLOCK, SIG_SETMASK, pthread_sigmask, valid_signals
except ImportError:  # not every build has pthread_sigmask
    pthread_sigmask = None

REQUEST_BYTES_MAX = 65536
TIMEOUT_SECONDS = 5.0
_SO_PEERCRED_BYTES = 12

_listener = None
_hooked = False


def name_of(pid, started):
    """The socket's name; `started` are the clock ticks of /proc/PID/stat, since pids come back."""
    return "\0leakhunt-%d-%d" % (pid, started)


def start_listening():
    """Listen from here on; True when this call opened it. Raises OSError or ImportError when that is impossible."""
    global _listener, _hooked
    if _listener is not None:
        return False
    import _socket

    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        listener.bind(name_of(os.getpid(), _started()))
        listener.listen(4)
    except OSError:
        listener.close()
        raise
    _listener = listener
    if not _hooked:
        _hooked = True
        os.register_at_fork(after_in_child=_in_child)
    _start(listener)
    return True


def is_open():
    return _listener is not None


def _started():
    with open("/proc/self/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def _in_child():
    """A forked child closes its copy of the socket and listens on one of its own."""
    global _listener
    if _listener is not None:
        listener, _listener = _listener, None
        listener.close()
        try:
            start_listening()
        except Exception:  # the program goes on whatever happens here
            pass


def _start(listener):
    """Start the thread with all signals blocked: they are for the program's own threads."""
    if pthread_sigmask is None:
        start_new_thread(_serve, (listener,))
        return
    mask = pthread_sigmask(SIG_BLOCK, valid_signals())
    try:
        start_new_thread(_serve, (listener,))
    finally:
        pthread_sigmask(SIG_SETMASK, mask)


def _serve(listener):
    import _socket

    while True:
        try:
            descriptor, _ = listener._accept()
        except OSError:
            return
        client = _socket.socket(fileno=descriptor)
        try:
            _hear(_socket, client)
        except Exception:  # a client that hangs up
            pass
        finally:
            client.close()


def _hear(_socket, client):
    credentials = client.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _SO_PEERCRED_BYTES)
    if int.from_bytes(credentials[4:8], "little") not in (0, os.geteuid()):
        return
    client.settimeout(TIMEOUT_SECONDS)
    heard = b""
    while len(heard) < REQUEST_BYTES_MAX:
        part = client.recv(REQUEST_BYTES_MAX)
        if not part:
            break
        heard += part
    try:
        answer = sys.modules[__package__].obey(*heard.decode("utf-8", "surrogateescape").split("\0"))
    except Exception as error:
        answer = "failed\0%s: %s" % (type(error).__name__, error)
    client.sendall(answer.encode("utf-8", "backslashreplace"))
