"""What the collector lists, without what a C function may still be filling.

`PySequence_Tuple` and `PyTuple_SetItem` demand that nobody else holds the tuple they fill, and raise SystemError in
the *program* when somebody does; frozensets are the same. Such an object is listed by the collector from its
first moment, and a list that holds it while the GIL goes to the program breaks it. So tuples and frozensets are
taken out of the list before the GIL can go: by one single call into C, in which no bytecode runs. The walk finds
every finished one again at the object that refers to it; one still being filled has no such object.
"""

import gc
import sys
from _collections import _count_elements
from _operator import is_, not_
from gc import get_referents
from itertools import chain, compress, repeat, starmap
from sys import getsizeof

from . import __builtins__

UNFINISHED = frozenset((id(tuple), id(frozenset)))
# Classes of what `by_age` makes before it asks the collector.
MADE = frozenset(
    map(
        id,
        (chain, compress, dict, filter, list, map, repeat, starmap, tuple, type(len), type(iter([])), type(iter(()))),
    )
)
_is_finished = dict.fromkeys(UNFINISHED, False).get


# The incremental collector moves what it has looked at to the end of its list, again and again.
INCREMENTAL = ((3, 14), (3, 14, 5)), ((3, 15), (3, 15, 0, "beta"))


def is_in_order_of_birth():
    """Whether this interpreter's collector lists each generation oldest first; a free-threaded one lists by address."""
    return "t" not in sys.abiflags and not any(low <= sys.version_info < high for low, high in INCREMENTAL)


def listed():
    """`gc.get_objects()` without tuples and frozensets, as a list that is safe to keep while the program runs."""
    return by_age()[0]


def by_age():
    """(as `listed`, whether the oldest come first in it).

    The collector gives its generations youngest first. How many are of which is counted in the same call into C; what
    is collected meanwhile (before 3.12 a list that is made may set the collector off) leaves the order unknown.
    """
    box, collections, counts = [], [], ({}, {})
    items = chain(chain.from_iterable(box), (None,))  # one more, so that the other reader reaches its end too
    finished = map(_is_finished, map(id, map(type, chain.from_iterable(box))), repeat(True))
    steps = (
        _noted(collections, gc.get_count),
        _counted(counts[0], 0),
        _counted(counts[1], 1),
        _filling(box),
        _noted(collections, gc.get_count),
        compress(items, finished),
        _step(box.clear),
    )
    reader = chain.from_iterable(steps)
    made = made_for(reader, box, collections, *counts)
    objects = list(reader)
    made.update((id(made), id(objects)))
    young, middle = [sum([n for kind, n in found.items() if kind not in UNFINISHED]) for found in counts]
    young, middle, is_without_itself = without_made(objects, made, young, middle)
    if not is_without_itself:  # it was listed while it was filled, and would keep itself and all in it alive
        for place, item in enumerate(objects):
            if item is objects:
                del objects[place]
                break
    if collections[0][1:] != collections[1][1:] or not is_in_order_of_birth():
        return objects, False
    objects[:] = objects[young + middle :] + objects[young : young + middle] + objects[:young]
    return objects, True


def made_for(*roots):
    """ids of iterators that were not begun yet, and of what was made for them."""
    found, layer = set(map(id, roots)), roots
    while layer:
        layer = [item for item in get_referents(*layer) if id(item) not in found and is_made_here(item)]
        found.update(map(id, layer))
    return found


def is_made_here(item):
    """Whether it can have been made for a listing: functions of a module were there before."""
    kind = type(item)
    if kind is type(len):
        return item is not _is_finished and type(item.__self__) is not type(sys)
    return id(kind) in MADE


def without_made(objects, made, young, middle):
    """Take what is `made` out of the younger generations in a list, where it is unless a collection ran meanwhile.

    Returns (objects left of the youngest, of the next, whether the list itself was there and is out).
    """
    head = objects[: young + middle + len(made)]
    are_others = list(map(not_, map(made.__contains__, map(id, head))))
    is_without_itself = any(map(is_, head, repeat(objects)))
    objects[: len(head)] = compress(head, are_others)
    return sum(are_others[:young]), sum(are_others[young : young + middle]), is_without_itself


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


def _counted(counts, generation):
    """An iterator that counts a generation's objects by id() of their class into `counts`, and gives nothing."""
    box = []
    kinds_ = map(id, map(type, chain.from_iterable(box)))
    return chain(_filling(box, generation), _step(_count_elements, counts, kinds_), _step(box.clear))


def _noted(results, function):
    """An iterator that keeps what a function of C gives when it is reached, and gives nothing."""
    return filter(None, map(results.append, starmap(function, ((),))))


def _step(function, *arguments):
    """An iterator that calls a function of C when it is reached, and gives nothing."""
    return filter(None, starmap(function, (arguments,)))
