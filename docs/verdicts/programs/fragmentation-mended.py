import ctypes
import time

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]


def read(frame):
    size = 50_000 + 90 * frame
    buffer = libc.malloc(size)
    ctypes.memset(buffer, 1, size)
    return buffer


headers = [libc.malloc(64) for _ in range(800)]  # what stays comes first
for frame, header in enumerate(headers):
    buffer = read(frame)
    ctypes.memmove(header, buffer, 64)
    libc.free(buffer)
    time.sleep(0.01)
