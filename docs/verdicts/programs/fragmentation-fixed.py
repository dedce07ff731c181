import ctypes
import time

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]


def read(size):
    buffer = libc.malloc(size)
    ctypes.memset(buffer, 1, size)
    return buffer


def burst(number):
    headers = [read(64) for _ in range(20)]  # what stays has a place of its own
    frames = [read(50_000 + 100 * number) for _ in range(20)]
    for header, frame in zip(headers, frames, strict=True):
        ctypes.memmove(header, frame, 64)
        libc.free(frame)


for number in range(80):
    burst(number)
    time.sleep(0.1)
