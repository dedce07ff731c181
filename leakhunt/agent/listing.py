"""What the collector lists, without what a C function may still be filling.

`PySequence_Tuple` and `PyTuple_SetItem` demand that nobody else holds the tuple they fill, and raise SystemError in
the *program* when somebody does; frozensets are the same. Such an object is listed by the collector from its
first moment, and a list that holds it while the GIL goes to the program breaks it. So tuples and frozensets are
taken out of the list before the GIL can go: by one single call into C, in which no bytecode runs. The walk finds
every finished one again at the object that refers to it; one still being filled has no such object.
"""

import gc
from _operator import not_
from itertools import chain, compress, starmap, tee
from sys import getsizeof

UNFINISHED = frozenset((id(tuple), id(frozenset)))


def _chosen(select, generation=None):
    """Iterator over the listed objects that `select` (classes' ids to booleans, both iterators) picks.

    The list of everything sits in a box that both readers share and that is emptied at the end: nothing that
    the result holds (these iterators among it, they are objects like any other) holds that list then.
    """
    box = []
    fill = filter(None, map(box.extend, (map(gc.get_objects, (generation,)),)))
    items = chain(chain.from_iterable(box), (None,))  # one more, so that the other reader reaches its end too
    wanted = select(map(id, map(type, chain.from_iterable(box))))
    empty = filter(None, starmap(box.clear, ((),)))
    return chain(fill, compress(items, wanted), empty)


def listed():
    """`gc.get_objects()` without tuples and frozensets, as a list that is safe to keep while the program runs."""
    objects = list(_chosen(lambda ids: map(not_, map(UNFINISHED.__contains__, ids))))
    for place, item in enumerate(objects):
        if item is objects:  # it was listed while it was filled, and would keep itself and all in it alive
            del objects[place]
            break
    return objects


def unfinished_sizes():
    """(id of its class, `sys.getsizeof`) of every listed tuple and frozenset, as a list; none of them is kept."""
    return list(_sized(_chosen(lambda ids: map(UNFINISHED.__contains__, ids))))


def _sized(items):
    """(id of its class, size) of each item; a function of its own, so that no local keeps hold of what `tee` holds."""
    once, again = tee(items)
    return zip(map(id, map(type, once)), map(getsizeof, again))


def kinds(generation):
    """id() of the class of every object in one generation, as a list; none of the objects is kept."""
    return list(map(id, map(type, _chosen(lambda ids: map(bool, ids), generation))))
