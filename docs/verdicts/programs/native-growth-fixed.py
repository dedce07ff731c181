import ctypes
import time

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]


def decode(frame):
    buffer = libc.malloc(100_000)
    try:
        ctypes.memset(buffer, frame % 256, 100_000)
    finally:
        libc.free(buffer)


for frame in range(800):
    decode(frame)
    time.sleep(0.01)
