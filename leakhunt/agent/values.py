"""What the program's strings and numbers say, where `--values` asked for it: a short text by address.

Only objects that are exactly a builtin string, bytes or number are read, as entries of listed dicts, lists and sets:
their `repr` is C and runs no code of the program.
"""

from array import array
from itertools import compress, islice

from . import __builtins__, listing

READABLE = frozenset(map(id, (str, bytes, int, float)))
TEXT_MAX = 80  # characters of one value
ITEMS_MAX = 10000  # read of one container
VALUES_MAX = 200000  # of one snapshot
INT_BITS_MAX = 256  # `repr` of a long one takes its time, and from 3.11 on may refuse
SLICE = 256


def columns(strings, yield_gil):
    """Columns value.address and value.text (schema.py) of this moment: the heap may have moved on since the walk."""
    addresses, texts, seen = array("Q"), array("I"), set()
    containers = [item for item in listing.listed() if type(item) in (dict, list, set)]
    while containers and len(seen) < VALUES_MAX:
        for container in containers[-SLICE:]:
            for value in entries(container):
                if id(value) not in seen:
                    seen.add(id(value))
                    addresses.append(id(value))
                    texts.append(strings.id_of(text_of(value)))
        container = value = None
        del containers[-SLICE:]
        yield_gil()
    return {"value.address": addresses, "value.text": texts}


def entries(container):
    """The readable ones among a container's first items, and for a dict among its keys and values."""
    parts = (dict.keys(container), dict.values(container)) if type(container) is dict else (container,)
    found = []
    for part in parts:
        try:
            found.extend(readable(part))
        except RuntimeError:  # a finalizer that ran just now changed it
            pass
    return found


def readable(items):
    """Iterator that runs in C alone: no other object of the program is held when the GIL goes."""
    kinds = map(id, map(type, islice(items, ITEMS_MAX)))
    return compress(islice(items, ITEMS_MAX), map(READABLE.__contains__, kinds))


def text_of(value):
    """`repr`, cut to TEXT_MAX characters; the size of what is too long to be printed."""
    kind = type(value)
    if kind is int:
        bits = value.bit_length()
        return repr(value) if bits <= INT_BITS_MAX else "<int of %d bits>" % bits
    if kind is float or len(value) <= TEXT_MAX:
        return repr(value)[: 2 * TEXT_MAX]
    return "%s... (%d)" % (repr(value[:TEXT_MAX])[: 2 * TEXT_MAX], len(value))
