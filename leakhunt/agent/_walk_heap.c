/* The walk: the heap as rows, in one call under the GIL.

   Nothing but C runs from its first line to its last, so no thread of the program can change anything meanwhile: no
   bytecode, no collection (switched off for that time), no method of the program. It gives the rows of walk.py, in the
   same order.

   Tuples and frozensets that a C function of the program is still filling are in the list as well (listing.py); the
   list is let go before the GIL is. */

#include "_walk_slices.h"

/* Called before the row of the listed object at `place`, and at the end. */
static void
note_generations(Walk *walk, size_t place)
{
    int generation;

    for (generation = 1; generation < 3; generation++)
        if (walk->begun < generation && place >= walk->younger[0] + (generation == 2 ? walk->younger[1] : 0)) {
            walk->first_rows[generation - 1] = walk->rows;
            walk->begun = generation;
        }
}

static void
walk_deep(Walk *walk, PyObject *listed, PyObject *roots, PyObject *types)
{
    Py_ssize_t i, count = PyList_Size(listed);

    for (i = 0; i < count; i++)
        addresses_add(&walk->budget, &walk->seen, (uint64_t)(uintptr_t)PyList_GetItem(listed, i));
    walk_roots(walk, roots, types);
    for (i = 0; i < count && !walk->budget.exceeded; i++) {
        PyObject *item = PyList_GetItem(listed, i);
        if (i + PREFETCH_AHEAD < count)
            __builtin_prefetch(PyList_GetItem(listed, i + PREFETCH_AHEAD));
        note_generations(walk, (size_t)i);
        if (!addresses_has(&walk->hidden, (uint64_t)(uintptr_t)item)) {
            walk->tenth = tenth_of(walk, (size_t)i);
            row_of_object(walk, item, LISTED, types);
            drain(walk, types);
        }
    }
    note_generations(walk, (size_t)count);
}

static void
walk_census(Walk *walk, PyObject *listed, PyObject *types)
{
    Py_ssize_t i, count = PyList_Size(listed);

    for (i = 0; i < count && !walk->budget.exceeded; i++) {
        PyObject *item = PyList_GetItem(listed, i);
        Kind *kind;
        int64_t length;
        if (walk->is_sliced && i % SLICE == SLICE - 1 && !give_way(walk))
            return;
        if (i + PREFETCH_AHEAD < count)
            __builtin_prefetch(PyList_GetItem(listed, i + PREFETCH_AHEAD));
        if (walk->is_sliced && item == Py_None)
            continue;
        if (addresses_has(&walk->hidden, (uint64_t)(uintptr_t)item))
            continue;
        kind = kind_of(walk, item, types);
        if (kind == NULL)
            return;
        kind->count++;
        kind->tenths[tenth_of(walk, (size_t)i)]++;
        if (kind->size_rule != SIZE_FIXED)
            kind->bytes += size_of(walk, kind, item);
        if (kind->length_rule != NO_ITEMS && (length = length_of(kind, item)) >= CONTAINER_FLOOR)
            note_container(walk, item, (uint32_t)(kind - &ARRAY_AT(&walk->kinds, Kind, 0)), length);
        if (!walk->is_frontier)
            continue;
        if (addresses_has(&walk->seen, (uint64_t)(uintptr_t)item))
            ARRAY_PUSH(&walk->budget, &walk->places, uint32_t, (uint32_t)i);
        else
            choose_holder(walk, kind, item, (size_t)i);
    }
    for (i = 0; i < (Py_ssize_t)ARRAY_COUNT(&walk->kinds, Kind); i++) {
        Kind *kind = &ARRAY_AT(&walk->kinds, Kind, i);
        if (kind->size_rule == SIZE_FIXED)
            kind->bytes = kind->count * (uint64_t)kind->size_bytes;
    }
}

/* Census or frontier, in slices; the list is let go. */
static void
walk_slices(Walk *walk, PyObject *listed, PyObject *roots, PyObject *types)
{
    take_out_unfinished(walk, listed, types);
    if (walk->is_frontier)
        choose_young(walk, listed, roots);
    if (give_way(walk))
        walk_census(walk, listed, types);
    if (walk->is_frontier && !walk->is_given_up) {
        rows_of_frontier(walk, listed, roots, types);
        if (give_way(walk))
            find_places(walk, listed);
    }
    release(walk, listed);
}

/* As walk_deep, but with rows for what was chosen only; the others are counted. */
static void
walk_frontier(Walk *walk, PyObject *listed, PyObject *roots, PyObject *types)
{
    size_t i;

    choose_young(walk, listed, roots);
    choose_near(walk, roots, types);
    walk_census(walk, listed, types);
    walk->left_out = walk->listed - ARRAY_COUNT(&walk->places, uint32_t);
    walk_roots(walk, roots, types);
    for (i = 0; i < ARRAY_COUNT(&walk->places, uint32_t) && !walk->budget.exceeded; i++) {
        size_t place = ARRAY_AT(&walk->places, uint32_t, i);
        note_generations(walk, place);
        row_of_object(walk, PyList_GetItem(listed, (Py_ssize_t)place), is_old(walk, place) ? LISTED_OLD : LISTED, types);
        drain(walk, types);
    }
    note_generations(walk, walk->listed);
    for (i = 0; i < ARRAY_COUNT(&walk->unlisted, PyObject *) && !walk->budget.exceeded; i++) {
        row_of_object(walk, ARRAY_AT(&walk->unlisted, PyObject *, i), FOUND, types);
        drain(walk, types);
    }
}

/* Instances by class in generations 0 and 1, and how many there are of all: before the list of everything is made. */
static int
count_young(Walk *walk, PyObject *types)
{
    long generation;

    for (generation = 0; generation < 2; generation++) {
        PyObject *number = PyLong_FromLong(generation);
        PyObject *young = number ? PyObject_CallFunctionObjArgs(walk->rules.get_objects, number, NULL) : NULL;
        Py_ssize_t i;
        Py_XDECREF(number);
        if (young == NULL)
            return 0;
        walk->younger[generation] = (size_t)PyList_Size(young);
        for (i = 0; i < PyList_Size(young); i++) {
            PyObject *item = PyList_GetItem(young, i);
            Kind *kind = addresses_has(&walk->hidden, (uint64_t)(uintptr_t)item) ? NULL : kind_of(walk, item, types);
            if (kind != NULL)
                kind->young++;
        }
        Py_DECREF(young);
    }
    return 1;
}

static int
hide(Walk *walk, PyObject *hidden)
{
    Py_ssize_t i;

    for (i = 0; i < PyList_Size(hidden); i++) {
        uint64_t address = (uint64_t)(uintptr_t)PyLong_AsVoidPtr(PyList_GetItem(hidden, i));
        if (PyErr_Occurred())
            return 0;
        addresses_add(&walk->budget, &walk->hidden, address);
        addresses_add(&walk->budget, &walk->seen, address);
    }
    return 1;
}

void
walk_free(Walk *walk)
{
    Budget budget = walk->budget;
    Array *arrays[] = {
        &walk->kinds, &walk->kind_slots, &walk->pending, &walk->held, &walk->address, &walk->type, &walk->size,
        &walk->length, &walk->refcount, &walk->flags, &walk->count, &walk->target, &walk->container_address,
        &walk->container_type, &walk->container_length, &walk->weak_source, &walk->weak_target, &walk->bases,
        &walk->row_of, &walk->huge, &walk->spectrum, &walk->keys, &walk->holders, &walk->unlisted,
        &walk->places, &walk->near_ones, &walk->place,
    };
    size_t i;

    for (i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
        array_free(&budget, arrays[i]);
    addresses_free(&budget, &walk->seen);
    addresses_free(&budget, &walk->hidden);
    addresses_free(&budget, &walk->known);
    addresses_free(&budget, &walk->line_marks);
    addresses_free(&budget, &walk->sought);
    munmap(walk, sizeof(*walk));
}

Walk *
walk_new(int deep, unsigned long long limit_bytes)
{
    Budget budget = {0};
    Walk *walk;

    budget.limit_bytes = (size_t)limit_bytes;
    walk = pages_new(&budget, sizeof(*walk));
    if (walk != NULL) {
        walk->budget = budget;
        walk->deep = deep;
    }
    return walk;
}

static void
lay_out_spectrum(Walk *walk)
{
    size_t k, tenth;

    for (k = 0; k < ARRAY_COUNT(&walk->kinds, Kind); k++)
        for (tenth = 0; tenth < TENTHS; tenth++)
            ARRAY_PUSH(&walk->budget, &walk->spectrum, uint64_t, ARRAY_AT(&walk->kinds, Kind, k).tenths[tenth]);
}

/* What the walk needs besides the heap is freed as soon as it stands. */
static void
walk_tidy(Walk *walk)
{
    array_free(&walk->budget, &walk->pending);
    array_free(&walk->budget, &walk->kind_slots);
    addresses_free(&walk->budget, &walk->hidden);
    addresses_free(&walk->budget, &walk->known);
    addresses_free(&walk->budget, &walk->line_marks);
    addresses_free(&walk->budget, &walk->sought);
    array_free(&walk->budget, &walk->keys);
    array_free(&walk->budget, &walk->unlisted);
    array_free(&walk->budget, &walk->places);
    array_free(&walk->budget, &walk->near_ones);
}

/* The kept objects as a list; the references that the walk took on them go to it. */
static PyObject *
held_list(Walk *walk)
{
    size_t i, count = ARRAY_COUNT(&walk->held, PyObject *);
    PyObject *list = PyList_New((Py_ssize_t)count);

    for (i = 0; i < count; i++) {
        PyObject *item = ARRAY_AT(&walk->held, PyObject *, i);
        if (list != NULL)
            PyList_SetItem(list, (Py_ssize_t)i, item);
        else
            Py_DecRef(item);
    }
    array_free(&walk->budget, &walk->held);
    return list;
}

/* Whether the heap is so large that only the frontier is walked, and a line between old and young is known. */
static int
has_frontier(Walk *walk, PyObject *listed, PyObject *line_marks, unsigned long long frontier_min)
{
    Py_ssize_t i;

    if (!walk->deep || walk->listed < frontier_min || PyList_Size(line_marks) == 0)
        return 0;
    for (i = 0; i < PyList_Size(line_marks); i++)
        addresses_add(&walk->budget, &walk->line_marks, (uint64_t)(uintptr_t)PyList_GetItem(line_marks, i));
    if (!find_line(walk, listed, (size_t)PyList_Size(line_marks)))
        return 0;
    walk->bulk_items = walk->listed / BULK_SHARE > BULK_ITEMS_MIN ? walk->listed / BULK_SHARE : BULK_ITEMS_MIN;
    return 1;
}

int
walk_heap(Walk *walk, PyObject *hidden, PyObject *roots, PyObject *line_marks, unsigned long long frontier_min,
          unsigned long long sliced_min, PyObject *types, PyObject **held)
{
    PyObject *listed, *empty = PyTuple_New(0);

    if (empty == NULL || !hide(walk, hidden)) {
        Py_XDECREF(empty);
        return 0;
    }
    walk->tuple_bytes = (size_t)number_of(walk->rules.getsizeof, empty);
    Py_DECREF(empty);
    if (!count_young(walk, types))
        return 0;
    listed = PyObject_CallFunctionObjArgs(walk->rules.get_objects, NULL);
    if (listed == NULL || !PyList_Check(listed)) {
        Py_XDECREF(listed);
        return 0;
    }
    walk->listed = (size_t)PyList_Size(listed);
    walk->is_frontier = has_frontier(walk, listed, line_marks, frontier_min);
    walk->is_sliced = walk->listed >= sliced_min && (walk->is_frontier || !walk->deep);
    if (walk->is_sliced) {
        walk_slices(walk, listed, roots, types);
        listed = NULL;
        if (walk->is_given_up)
            return 0;
    }
    else if (walk->is_frontier)
        walk_frontier(walk, listed, roots, types);
    else if (walk->deep)
        walk_deep(walk, listed, roots, types);
    else
        walk_census(walk, listed, types);
    Py_XDECREF(listed);
    *held = held_list(walk);
    if (*held == NULL)
        return 0;
    lay_out_spectrum(walk);
    walk_tidy(walk);
    if (walk->budget.exceeded) {
        PyErr_SetString(PyExc_MemoryError, "the walk would take more memory than it may");
        return 0;
    }
    return !PyErr_Occurred();
}
