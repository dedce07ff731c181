import ctypes
import time


class Row:
    def __init__(self, number):
        self.number = number


def fetch(number):
    """What a C extension does that forgets a Py_DECREF."""
    row = Row(number)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(row))
    return row.number


for number in range(2000):
    fetch(number)
    time.sleep(0.004)
