import ctypes
import time

libc = ctypes.CDLL(None)
libc.malloc.restype = libc.realloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def read(size):
    buffer = libc.malloc(size)
    ctypes.memset(buffer, 1, size)
    return buffer


def burst(number):
    frames = [read(50_000 + 100 * number) for _ in range(20)]
    for frame in frames:
        libc.realloc(frame, 64)  # its header stays, and a hole behind it, too small for the frames of the next burst


for number in range(80):
    burst(number)
    time.sleep(0.1)
