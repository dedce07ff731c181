"""What the collector lists, without what a C function may still be filling.

`PySequence_Tuple` and `PyTuple_SetItem` demand that nobody else holds the tuple they fill, and raise SystemError in
the *program* when somebody does; frozensets are the same. Such an object is listed by the collector from its
first moment, and a list that holds it while the GIL goes to the program breaks it. So tuples and frozensets are
taken out of the list before the GIL can go: by one single call into C, in which no bytecode runs. The walk finds
every finished one again at the object that refers to it; one still being filled has no such object.
"""

import gc
from _collections import _count_elements
from itertools import chain, compress, repeat, starmap
from sys import getsizeof

from . import __builtins__

UNFINISHED = frozenset((id(tuple), id(frozenset)))
_is_finished = dict.fromkeys(UNFINISHED, False).get


def listed():
    """`gc.get_objects()` without tuples and frozensets, as a list that is safe to keep while the program runs."""
    box = []
    items = chain(chain.from_iterable(box), (None,))  # one more, so that the other reader reaches its end too
    finished = map(_is_finished, map(id, map(type, chain.from_iterable(box))), repeat(True))
    objects = list(chain(_filling(box), compress(items, finished), _step(box.clear)))
    for place, item in enumerate(objects):
        if item is objects:  # it was listed while it was filled, and would keep itself and all in it alive
            del objects[place]
            break
    return objects


def unfinished():
    """Number of listed tuples and frozensets by (id of the class, `sys.getsizeof`); none of them is kept."""
    box, chosen, sizes = [], [], {}
    items = chain(chain.from_iterable(box), (None,))
    wanted = map(UNFINISHED.__contains__, map(id, map(type, chain.from_iterable(box))))
    steps = (
        _filling(box),
        _step(chosen.extend, compress(items, wanted)),
        _step(box.clear),
        _step(_count_elements, sizes, zip(map(id, map(type, chosen)), map(getsizeof, chosen))),
        _step(chosen.clear),
    )
    list(chain.from_iterable(steps))
    return sizes


def kinds(generation):
    """id() of the class of every object in one generation, as a list; none of the objects is kept."""
    box = []
    return list(chain(_filling(box, generation), map(id, map(type, chain.from_iterable(box))), _step(box.clear)))


def _filling(box, generation=None):
    """An iterator that puts the collector's list into `box` when it is reached, and gives nothing.

    The list goes when all who read it by `chain.from_iterable(box)` have come to its end, and the box is cleared.
    """
    return filter(None, map(box.append, map(gc.get_objects, (generation,))))


def _step(function, *arguments):
    """An iterator that calls a function of C when it is reached, and gives nothing."""
    return filter(None, starmap(function, (arguments,)))
