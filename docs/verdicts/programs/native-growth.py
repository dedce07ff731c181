import ctypes
import time

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]


def decode(frame):
    """What a C library does that never frees its buffer."""
    buffer = libc.malloc(100_000)
    ctypes.memset(buffer, frame % 256, 100_000)


for frame in range(800):
    decode(frame)
    time.sleep(0.01)
