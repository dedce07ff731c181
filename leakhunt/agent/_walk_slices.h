/* A look at a large heap that gives the GIL away: census and frontier in slices.

   The list itself is made in one go, and holds all that is in it for as long as the look takes. Tuples and frozensets are
   taken out before the GIL can go, for a C function may still be filling one of them (listing.py); finished ones are met
   again at what refers to them. While the listed are counted and holders are looked for, nothing is kept but what the
   list holds, and addresses that are compared and never followed. Then rows are made in one go: of what is young, of
   holders, and of what is near the roots, which is found there and then.

   The collector is on while others have the GIL. Included by the walk alone, which it is part of. */

#ifndef LEAKHUNT_WALK_SLICES_H
#define LEAKHUNT_WALK_SLICES_H

#include "_walk_frontier.h"

#define SLICE 512            /* objects between two questions whether the GIL was held for long */
#define RELEASE_SLICE 16384  /* objects let go between two of them: most live on */

/* Let others have the GIL, if it was held for long. 0 with an exception when the look is to be given up. */
static int
give_way(Walk *walk)
{
    PyObject *done;

    if (walk->was_enabled)
        PyGC_Enable();
    done = PyObject_CallNoArgs(walk->yield_gil);
    walk->was_enabled = PyGC_Disable();
    Py_XDECREF(done);
    walk->is_given_up = done == NULL;
    return done != NULL;
}

/* Count tuples and frozensets, and put None in their place. */
static void
take_out_unfinished(Walk *walk, PyObject *listed, PyObject *types)
{
    size_t place;

    for (place = 0; place < walk->listed; place++) {
        PyObject *item = PyList_GetItem(listed, (Py_ssize_t)place);
        Kind *kind;
        if (place + PREFETCH_AHEAD < walk->listed)
            __builtin_prefetch(PyList_GetItem(listed, (Py_ssize_t)place + PREFETCH_AHEAD));
        if (!is_unfinished_kind(item))
            continue;
        kind = addresses_has(&walk->hidden, (uint64_t)(uintptr_t)item) ? NULL : kind_of(walk, item, types);
        if (kind != NULL) {
            walk->tenth = tenth_of(walk, place);
            count_listed(walk, kind, item, size_of(walk, kind, item), length_of(kind, item));
        }
        PyList_SetItem(listed, (Py_ssize_t)place, Py_NewRef(Py_None));
    }
}

/* Rows of the frontier, after a census in slices: `places` are those of the young, and of all holders. */
static void
rows_of_frontier(Walk *walk, PyObject *listed, PyObject *roots, PyObject *types)
{
    size_t i;

    choose_near(walk, roots, types);
    walk_roots(walk, roots, types);
    for (i = 0; i < ARRAY_COUNT(&walk->places, uint32_t) && !walk->budget.exceeded; i++) {
        size_t place = ARRAY_AT(&walk->places, uint32_t, i);
        PyObject *item = PyList_GetItem(listed, (Py_ssize_t)place);
        int is_far = is_old(walk, place) && addresses_add(&walk->budget, &walk->seen, (uint64_t)(uintptr_t)item);
        if (is_far)
            ARRAY_PUSH(&walk->budget, &walk->holders, uint64_t, (uint64_t)(uintptr_t)item);
        else if (is_old(walk, place))
            continue; /* near the roots, too */
        row_of_object(walk, item, is_far ? LISTED_OLD : LISTED, types);
        drain(walk, types);
    }
    for (i = 0; i < ARRAY_COUNT(&walk->near_ones, PyObject *) && !walk->budget.exceeded; i++) {
        row_of_object(walk, ARRAY_AT(&walk->near_ones, PyObject *, i), LISTED_OLD, types);
        drain(walk, types);
    }
    for (i = 0; i < ARRAY_COUNT(&walk->unlisted, PyObject *) && !walk->budget.exceeded; i++) {
        row_of_object(walk, ARRAY_AT(&walk->unlisted, PyObject *, i), FOUND, types);
        drain(walk, types);
    }
}

/* The place of each row in the list. What is near the roots and has none was born during the look. */
static void
find_places(Walk *walk, PyObject *listed)
{
    size_t place, row, tracked = 0;

    if (!number_rows(walk) || !array_reserve(&walk->budget, &walk->place, (walk->rows + 1) * sizeof(uint32_t)))
        return;
    walk->place.used = walk->rows * sizeof(uint32_t);
    memset(walk->place.data, 0xff, walk->place.used); /* NO_PLACE */
    for (place = 0; place < walk->listed; place++) {
        uint64_t address = (uint64_t)(uintptr_t)PyList_GetItem(listed, (Py_ssize_t)place);
        uint32_t found = row_at(walk, address);
        if (found != GONE && (ARRAY_AT(&walk->flags, uint8_t, found) & OBJECT_TRACKED)) {
            ARRAY_AT(&walk->place, uint32_t, found) = (uint32_t)rank_of(walk, place);
            tracked++;
        }
        if (place % (SLICE * 16) == 0 && !give_way(walk))
            return;
    }
    for (row = 0; row < walk->rows; row++)
        if (ARRAY_AT(&walk->place, uint32_t, row) == UINT32_MAX)
            ARRAY_AT(&walk->flags, uint8_t, row) = 0;
    walk->left_out = walk->listed - tracked;
}

/* Let the list go, a slice at a time: what the program has dropped meanwhile dies here. */
static void
release(Walk *walk, PyObject *listed)
{
    Py_ssize_t end;

    for (end = PyList_Size(listed); end > 0 && !walk->is_given_up; end -= end < RELEASE_SLICE ? end : RELEASE_SLICE)
        if (PyList_SetSlice(listed, end < RELEASE_SLICE ? 0 : end - RELEASE_SLICE, end, NULL) < 0 || !give_way(walk))
            walk->is_given_up = 1;
    Py_DECREF(listed);
}

#endif
