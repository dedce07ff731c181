import ctypes
import time


class Row:
    def __init__(self, number):
        self.number = number


def fetch(number):
    row = Row(number)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(row))
    try:
        return row.number
    finally:
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(row))


for number in range(2000):
    fetch(number)
    time.sleep(0.004)
