/* A graph of a large heap that costs what changed: which objects have rows in it.

   The collector's list is in order of birth, and what the agent left in it at an earlier look is the line between old and
   young. Rows are for

   - what is young, and what it leads to that the collector does not track;
   - old objects that refer to young ones, and with every further look one more step on the way from these to the roots;
   - what is near the roots: modules, classes, functions, and all that one comes to without going through a bulk container.

   Of the rest the census counts each class. A bulk container is old and holds so many items that it is a table, not a
   structure; of its items those have a reference that have a row. What is old has no reference count: not all that
   refers to it was seen. Included by the walk alone, which it is part of. */

#ifndef LEAKHUNT_WALK_FRONTIER_H
#define LEAKHUNT_WALK_FRONTIER_H

#include "_walk_row.h"

#define YOUNG_MAX ((size_t)1 << 20)     /* the line is a later one, where so many are younger than the first */
#define NEAR_MAX ((size_t)1 << 19)      /* tracked objects near the roots */
#define MARGIN_MAX ((size_t)10000)      /* a full collection puts what generation 0 has in front of what generation 1 has: … */
#define MARGIN_SHARE 100                /* … so many stand in front of the line and may be younger */
#define BULK_ITEMS_MIN ((size_t)10000)
#define BULK_SHARE 64                   /* … or this part of the list, if that is more */

static inline int
generation_of(const Walk *walk, size_t place)
{
    return place < walk->younger[0] ? 0 : place < walk->younger[0] + walk->younger[1] ? 1 : 2;
}

static inline int
is_old(const Walk *walk, size_t place)
{
    return place < walk->old_end[generation_of(walk, place)];
}

/* Find the line, from the youngest on: the first mark that was made, or the last before which more than YOUNG_MAX are
   listed. Without one all is old: it is younger than what was ever looked at. */
static int
find_line(Walk *walk, PyObject *listed, size_t marks)
{
    size_t margin = walk->listed / MARGIN_SHARE < MARGIN_MAX ? walk->listed / MARGIN_SHARE : MARGIN_MAX;
    size_t begins[4] = {0, walk->younger[0], walk->younger[0] + walk->younger[1], walk->listed}, passed = 0, found = 0;
    int generation;

    for (generation = 0; generation < 3; generation++) {
        size_t place;
        for (place = begins[generation + 1]; place > begins[generation]; place--, passed++) {
            if (found == marks || (found > 0 && passed > YOUNG_MAX))
                return 1;
            if (addresses_has(&walk->line_marks, (uint64_t)(uintptr_t)PyList_GetItem(listed, (Py_ssize_t)place - 1))) {
                int other;
                for (other = 0; other < 3; other++)
                    walk->old_end[other] = other < generation ? begins[other] : begins[other + 1];
                walk->old_end[generation] = place - begins[generation] > margin ? place - margin : begins[generation];
                found++;
            }
        }
    }
    return found > 0;
}

static int
visit_sought(PyObject *item, void *argument)
{
    Walk *walk = argument;
    return item != NULL && addresses_has(&walk->sought, (uint64_t)(uintptr_t)item);
}

/* Whether it refers to what is sought. A tuple is filled before anything younger is there. */
static inline int
refers_to_sought(const Walk *walk, const Kind *kind, PyObject *item)
{
    if (kind->traverse == NULL || kind->type == &PyTuple_Type || (kind->is_gc != NULL && !kind->is_gc(item)))
        return 0;
    return kind->traverse(item, visit_sought, (void *)walk) != 0;
}

static void
choose(Walk *walk, uint64_t address)
{
    if (!addresses_add(&walk->budget, &walk->seen, address))
        return;
    ARRAY_PUSH(&walk->budget, &walk->pending, PyObject *, (PyObject *)(uintptr_t)address);
}

static int
visit_near(PyObject *item, void *argument)
{
    if (item != NULL)
        choose(argument, (uint64_t)(uintptr_t)item);
    return 0;
}

/* All that is near the roots, the nearest first. */
static void
choose_near(Walk *walk, PyObject *roots, PyObject *types)
{
    size_t done, near = 0;
    Py_ssize_t i;

    for (i = 0; i + 1 < PyList_Size(roots); i += 2) {
        PyObject *locals = PyList_GetItem(roots, i + 1), *value;
        Py_ssize_t place = 0;
        if (locals == Py_None)
            choose(walk, (uint64_t)(uintptr_t)PyList_GetItem(roots, i));
        else
            while (PyDict_Next(locals, &place, NULL, &value))
                choose(walk, (uint64_t)(uintptr_t)value);
    }
    for (done = 0; done < ARRAY_COUNT(&walk->pending, PyObject *) && !walk->budget.exceeded; done++) {
        PyObject *item = ARRAY_AT(&walk->pending, PyObject *, done);
        Kind *kind = kind_of(walk, item, types);
        if (kind == NULL)
            return;
        if (!PyObject_GC_IsTracked(item) || (walk->is_sliced && is_unfinished_kind(item)))
            ARRAY_PUSH(&walk->budget, &walk->unlisted, PyObject *, item);
        else {
            if (walk->is_sliced)
                ARRAY_PUSH(&walk->budget, &walk->near_ones, PyObject *, item);
            if (++near > NEAR_MAX)
                continue;
        }
        if (kind->length_rule == NO_ITEMS || length_of(kind, item) < (int64_t)walk->bulk_items)
            traverse(kind, item, visit_near, walk);
    }
    walk->pending.used = 0;
}

/* An old object that refers to what is sought, and is not chosen yet, is chosen; at the next look, who refers to it. */
static inline void
choose_holder(Walk *walk, const Kind *kind, PyObject *item, size_t place)
{
    if (!refers_to_sought(walk, kind, item))
        return;
    ARRAY_PUSH(&walk->budget, &walk->places, uint32_t, (uint32_t)place);
    if (walk->is_sliced) /* whether it is near the roots is found later */
        return;
    addresses_add(&walk->budget, &walk->seen, (uint64_t)(uintptr_t)item);
    ARRAY_PUSH(&walk->budget, &walk->holders, uint64_t, (uint64_t)(uintptr_t)item);
}

/* All that is young has a row, and who refers to it is sought. Running frames have theirs as roots, listed or not. */
static void
choose_young(Walk *walk, PyObject *listed, PyObject *roots)
{
    size_t place;
    Py_ssize_t i;

    for (i = 0; i + 1 < PyList_Size(roots); i += 2)
        if (PyList_GetItem(roots, i + 1) != Py_None) {
            addresses_add(&walk->budget, &walk->seen, (uint64_t)(uintptr_t)PyList_GetItem(roots, i));
            addresses_add(&walk->budget, &walk->hidden, (uint64_t)(uintptr_t)PyList_GetItem(roots, i));
        }
    for (place = 0; place < walk->listed; place++) {
        uint64_t address = (uint64_t)(uintptr_t)PyList_GetItem(listed, (Py_ssize_t)place);
        if (is_old(walk, place))
            place = walk->old_end[generation_of(walk, place)] - 1;
        else if (address != (uint64_t)(uintptr_t)Py_None && !addresses_has(&walk->hidden, address)) {
            addresses_add(&walk->budget, &walk->seen, address);
            addresses_add(&walk->budget, &walk->sought, address);
        }
    }
}

#endif
