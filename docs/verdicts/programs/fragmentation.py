import ctypes
import time

libc = ctypes.CDLL(None)
libc.malloc.restype = libc.realloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def read(frame):
    size = 50_000 + 90 * frame
    buffer = libc.malloc(size)
    ctypes.memset(buffer, 1, size)
    return buffer


previous = read(0)
for frame in range(1, 800):
    buffer = read(frame)
    libc.realloc(previous, 64)  # its header stays, and a hole behind it, too small for the next frame
    previous = buffer
    time.sleep(0.01)
