/* One object: its class, its size and length, its references, its row. Included by the walk alone, which it is part of. */

#ifndef LEAKHUNT_WALK_ROW_H
#define LEAKHUNT_WALK_ROW_H

#include "_walk_heap.h"

#define PREFETCH_AHEAD 32

static size_t
kind_hash(const PyTypeObject *type)
{
    return (size_t)(((uint64_t)(uintptr_t)type >> 4) * 0x9E3779B97F4A7C15ull >> 24);
}

static Kind *
kind_add(Walk *walk, PyTypeObject *type, PyObject *sample, PyObject *types)
{
    Kind kind = kind_of_class(&walk->rules, type, sample, walk->deep);

    if (PyList_Append(types, (PyObject *)type) < 0 || !ARRAY_PUSH(&walk->budget, &walk->kinds, Kind, kind)) {
        PyErr_Clear();
        walk->budget.exceeded = 1;
        return NULL;
    }
    return &ARRAY_AT(&walk->kinds, Kind, ARRAY_COUNT(&walk->kinds, Kind) - 1);
}

static int
kind_slots_grow(Walk *walk)
{
    size_t slots = ARRAY_COUNT(&walk->kind_slots, uint32_t), wanted = slots ? 2 * slots : 4096, k;
    Array fresh = {0};

    if (!array_reserve(&walk->budget, &fresh, wanted * sizeof(uint32_t)))
        return 0;
    fresh.used = wanted * sizeof(uint32_t); /* new pages are zero, and 0 is a free slot */
    for (k = 0; k < ARRAY_COUNT(&walk->kinds, Kind); k++) {
        size_t slot = kind_hash(ARRAY_AT(&walk->kinds, Kind, k).type) & (wanted - 1);
        while (ARRAY_AT(&fresh, uint32_t, slot))
            slot = (slot + 1) & (wanted - 1);
        ARRAY_AT(&fresh, uint32_t, slot) = (uint32_t)k + 1;
    }
    array_free(&walk->budget, &walk->kind_slots);
    walk->kind_slots = fresh;
    return 1;
}

/* The Kind of an object's class; good until the next call. NULL when there is no memory. */
static inline Kind *
kind_of(Walk *walk, PyObject *item, PyObject *types)
{
    PyTypeObject *type = Py_TYPE(item);
    size_t slots = ARRAY_COUNT(&walk->kind_slots, uint32_t), slot;
    Kind *kind;

    if (walk->kinds.used > 0 && ARRAY_AT(&walk->kinds, Kind, walk->last_kind).type == type) /* like stands by like */
        return &ARRAY_AT(&walk->kinds, Kind, walk->last_kind);
    if (2 * ARRAY_COUNT(&walk->kinds, Kind) >= slots) {
        if (!kind_slots_grow(walk))
            return NULL;
        slots = ARRAY_COUNT(&walk->kind_slots, uint32_t);
    }
    for (slot = kind_hash(type) & (slots - 1); ARRAY_AT(&walk->kind_slots, uint32_t, slot); slot = (slot + 1) & (slots - 1)) {
        kind = &ARRAY_AT(&walk->kinds, Kind, ARRAY_AT(&walk->kind_slots, uint32_t, slot) - 1);
        if (kind->type == type) {
            walk->last_kind = ARRAY_AT(&walk->kind_slots, uint32_t, slot) - 1;
            return kind;
        }
    }
    kind = kind_add(walk, type, item, types);
    if (kind != NULL)
        ARRAY_AT(&walk->kind_slots, uint32_t, slot) = (uint32_t)ARRAY_COUNT(&walk->kinds, Kind);
    return kind;
}

static uint64_t
size_of(const Walk *walk, const Kind *kind, PyObject *item)
{
    int64_t size;

    switch (kind->size_rule) {
    case SIZE_FIXED:
        return (uint64_t)kind->size_bytes;
    case SIZE_OF_TUPLE:
        return walk->tuple_bytes + sizeof(void *) * (size_t)PyTuple_Size(item);
    case SIZE_BY_C:
        size = number_from(kind->sizeof_(item, NULL));
        return size < 0 ? 0 : (uint64_t)(size + kind->size_bytes);
    case SIZE_ASKED:
        size = number_of(walk->rules.getsizeof, item);
        return size < 0 ? 0 : (uint64_t)size;
    default:
        return 0;
    }
}

/* Items of a container, bytes of a buffer; -1 where there are none or they can't be told. */
static int64_t
length_of(const Kind *kind, PyObject *item)
{
    int64_t length, each;

    switch (kind->length_rule) {
    case DICT_ITEMS:
        return PyDict_Size(item);
    case LIST_ITEMS:
        return PyList_Size(item);
    case TUPLE_ITEMS:
        return PyTuple_Size(item);
    case SET_ITEMS:
        return PySet_Size(item);
    case ITEMS_ASKED:
        length = number_of(kind->length, item);
        each = kind->item_size == Py_None ? 1 : number_of(kind->item_size, item);
        return length < 0 || each < 0 ? -1 : length * each;
    default:
        return -1;
    }
}

/* Not the macro's value as it stands: from 3.12 on the low half alone counts, and a negative one says immortal. */
static uint32_t
refcount_of(PyObject *item, Py_ssize_t own)
{
    Py_ssize_t count = Py_REFCNT(item);

    if (Py_Version >= 0x030c0000) {
        if ((int32_t)count < 0)
            return SATURATED;
        count = (Py_ssize_t)(uint32_t)count;
    }
    count -= own;
    return count < 0 ? 0 : count < (Py_ssize_t)SATURATED ? (uint32_t)count : SATURATED;
}

static int
visit(PyObject *item, void *argument)
{
    Walk *walk = argument;

    if (item == NULL) /* a traverse that forgot to ask */
        return 0;
    return ARRAY_PUSH(&walk->budget, &walk->target, uint64_t, (uint64_t)(uintptr_t)item) ? 0 : -1;
}

static int
visit_unknown(PyObject *item, void *argument)
{
    Walk *walk = argument;

    if (item == NULL || addresses_has(&walk->known, (uint64_t)(uintptr_t)item))
        return 0;
    return visit(item, argument);
}

static int
visit_seen(PyObject *item, void *argument)
{
    Walk *walk = argument;

    if (item == NULL || !addresses_has(&walk->seen, (uint64_t)(uintptr_t)item))
        return 0;
    return visit(item, argument);
}

static void
traverse(const Kind *kind, PyObject *item, visitproc visitor, Walk *walk)
{
    /* type_traverse is a fatal error for a static class: the collector never gets there, and so must we not */
    if (kind->traverse != NULL && (kind->is_gc == NULL || kind->is_gc(item)))
        kind->traverse(item, visitor, walk);
}

/* Values, then keys, then what a subclass refers to besides. */
static void
traverse_mapping(const Kind *kind, PyObject *item, Walk *walk)
{
    size_t first = ARRAY_COUNT(&walk->target, uint64_t), length = (size_t)PyDict_Size(item), found = 0, i;
    Py_ssize_t place = 0;
    PyObject *key, *value;
    uint64_t *values;

    if (!array_reserve(&walk->budget, &walk->target, 2 * length * sizeof(uint64_t)))
        return;
    values = (uint64_t *)(walk->target.data + walk->target.used);
    while (found < length && PyDict_Next(item, &place, &key, &value)) {
        values[found] = (uint64_t)(uintptr_t)value;
        values[length + found++] = (uint64_t)(uintptr_t)key;
    }
    if (found < length)
        memmove(values + found, values + length, found * sizeof(uint64_t));
    walk->target.used += 2 * found * sizeof(uint64_t);
    if (kind->is_plain_dict)
        return;
    for (i = 0; i < 2 * found; i++)
        addresses_add(&walk->budget, &walk->known, values[i]);
    traverse(kind, item, visit_unknown, walk);
    for (i = 0; i < 2 * found; i++)
        addresses_remove(&walk->known, ARRAY_AT(&walk->target, uint64_t, first + i));
}

static inline int
is_unfinished_kind(PyObject *item)
{
    return Py_TYPE(item) == &PyTuple_Type || Py_TYPE(item) == &PyFrozenSet_Type;
}

/* Whether the collector tracks it, so that it had its chance to be chosen; tuples had none in a walk in slices. */
static inline int
is_left_out(const Walk *walk, PyObject *item)
{
    return PyObject_GC_IsTracked(item) && !(walk->is_sliced && is_unfinished_kind(item));
}

/* Put what a row refers to on the stack, where it was not seen before. What the collector tracks has been chosen or left
   out by then, where not all of the heap is walked. */
static void
discover(Walk *walk, size_t first)
{
    size_t i, end = ARRAY_COUNT(&walk->target, uint64_t);

    for (i = first; i < end; i++) {
        uint64_t address = ARRAY_AT(&walk->target, uint64_t, i);
        if (walk->is_frontier &&
            (addresses_has(&walk->seen, address) || is_left_out(walk, (PyObject *)(uintptr_t)address)))
            continue;
        if (addresses_add(&walk->budget, &walk->seen, address))
            ARRAY_PUSH(&walk->budget, &walk->pending, PyObject *, (PyObject *)(uintptr_t)address);
    }
}

static void
append_row(Walk *walk, PyObject *item, uint32_t type, uint64_t size, int64_t length, uint32_t refcount, uint8_t flags)
{
    uint32_t length_cell = length < 0 ? NO_LENGTH : length < (int64_t)NO_LENGTH ? (uint32_t)length : NO_LENGTH - 1;
    uint64_t base = ARRAY_COUNT(&walk->target, uint64_t);
    Budget *budget = &walk->budget;

    if (walk->rows % BASE_EVERY == 0)
        ARRAY_PUSH(budget, &walk->bases, uint64_t, base);
    ARRAY_PUSH(budget, &walk->address, uint64_t, (uint64_t)(uintptr_t)item);
    ARRAY_PUSH(budget, &walk->type, uint32_t, type);
    ARRAY_PUSH(budget, &walk->size, uint32_t, (uint32_t)size);
    if (size > UINT32_MAX) {
        HugeSize huge = {walk->rows, size};
        ARRAY_PUSH(budget, &walk->huge, HugeSize, huge);
    }
    ARRAY_PUSH(budget, &walk->length, uint32_t, length_cell);
    ARRAY_PUSH(budget, &walk->refcount, uint32_t, refcount);
    ARRAY_PUSH(budget, &walk->flags, uint8_t, flags);
    walk->rows++;
}

static void
end_row(Walk *walk, size_t first)
{
    ARRAY_PUSH(&walk->budget, &walk->count, uint32_t, (uint32_t)(ARRAY_COUNT(&walk->target, uint64_t) - first));
    discover(walk, first);
}

static void
note_container(Walk *walk, PyObject *item, uint32_t type, int64_t length)
{
    ARRAY_PUSH(&walk->budget, &walk->container_address, uint64_t, (uint64_t)(uintptr_t)item);
    ARRAY_PUSH(&walk->budget, &walk->container_type, uint32_t, type);
    ARRAY_PUSH(&walk->budget, &walk->container_length, uint64_t, (uint64_t)length);
}

static void
note_weak(Walk *walk, PyObject *item)
{
    PyObject *target = PyObject_CallFunctionObjArgs(walk->rules.referent_of, item, NULL);

    ARRAY_PUSH(&walk->budget, &walk->weak_source, uint32_t, (uint32_t)walk->rows);
    ARRAY_PUSH(&walk->budget, &walk->weak_target, uint64_t,
               target == NULL || target == Py_None ? 0 : (uint64_t)(uintptr_t)target);
    Py_XDECREF(target); /* somebody else keeps it alive: nothing ran since it was found alive */
    PyErr_Clear();
}

/* The owner of a view's memory, which its class does not tell the collector of. */
static void
visit_owner(const Kind *kind, PyObject *item, Walk *walk)
{
    PyObject *owner = PyObject_CallFunctionObjArgs(kind->base_of, item, NULL);

    if (owner != NULL && owner != Py_None)
        visit(owner, walk);
    Py_XDECREF(owner); /* the view keeps it alive */
    PyErr_Clear();
}

/* The part of a large old container that has rows: what is young, and what leads to it. Values, then their keys. */
static void
traverse_bulk(const Kind *kind, PyObject *item, Walk *walk)
{
    Py_ssize_t place = 0;
    PyObject *key, *value;
    size_t i;

    if (!kind->is_mapping) {
        traverse(kind, item, visit_seen, walk);
        return;
    }
    walk->keys.used = 0;
    while (PyDict_Next(item, &place, &key, &value))
        if (addresses_has(&walk->seen, (uint64_t)(uintptr_t)value) || addresses_has(&walk->seen, (uint64_t)(uintptr_t)key)) {
            visit(value, walk);
            ARRAY_PUSH(&walk->budget, &walk->keys, uint64_t, (uint64_t)(uintptr_t)key);
        }
    for (i = 0; i < ARRAY_COUNT(&walk->keys, uint64_t); i++)
        ARRAY_PUSH(&walk->budget, &walk->target, uint64_t, ARRAY_AT(&walk->keys, uint64_t, i));
}

/* Counted in the census, as what the collector lists. */
static void
count_listed(Walk *walk, Kind *kind, PyObject *item, uint64_t size, int64_t length)
{
    kind->count++;
    kind->tenths[walk->tenth]++;
    kind->bytes += size;
    if (length >= CONTAINER_FLOOR)
        note_container(walk, item, (uint32_t)(kind - &ARRAY_AT(&walk->kinds, Kind, 0)), length);
}

typedef enum { FOUND, LISTED, LISTED_OLD } Standing; /* in a frontier graph, listed ones have been counted before */

static void
row_of_object(Walk *walk, PyObject *item, Standing standing, PyObject *types)
{
    Kind *kind = kind_of(walk, item, types);
    size_t first = ARRAY_COUNT(&walk->target, uint64_t);
    uint32_t type;
    uint64_t size;
    int64_t length;
    uint8_t flags = 0;

    if (kind == NULL)
        return;
    type = (uint32_t)(kind - &ARRAY_AT(&walk->kinds, Kind, 0));
    size = size_of(walk, kind, item);
    length = length_of(kind, item);
    if (standing != FOUND) {
        flags = OBJECT_TRACKED | (PyObject_GC_IsFinalized(item) ? OBJECT_FINALIZED : 0);
        if (standing == LISTED_OLD)
            flags |= OBJECT_OLD;
        if (!walk->is_frontier)
            count_listed(walk, kind, item, size, length);
    }
    if (kind->is_weak)
        note_weak(walk, item);
    append_row(walk, item, type, size, length, standing == LISTED ? refcount_of(item, 1) : SATURATED, flags);
    if (kind->held < kind->held_max && ARRAY_PUSH(&walk->budget, &walk->held, PyObject *, item)) {
        kind->held++;
        Py_IncRef(item); /* after its count is taken */
    }
    if (standing == LISTED_OLD && length >= (int64_t)walk->bulk_items)
        traverse_bulk(kind, item, walk);
    else if (kind->is_mapping)
        traverse_mapping(kind, item, walk);
    else
        traverse(kind, item, visit, walk);
    if (kind->base_of != NULL)
        visit_owner(kind, item, walk);
    end_row(walk, first);
}

/* A running frame: its traverse shows nothing from 3.11 on, so its references are its locals, as Python read them. */
static void
row_of_frame(Walk *walk, PyObject *frame, PyObject *locals, PyObject *types)
{
    Kind *kind = kind_of(walk, frame, types);
    size_t first = ARRAY_COUNT(&walk->target, uint64_t);
    Py_ssize_t place = 0;
    PyObject *value;

    if (kind == NULL)
        return;
    append_row(walk, frame, (uint32_t)(kind - &ARRAY_AT(&walk->kinds, Kind, 0)), size_of(walk, kind, frame), -1, SATURATED, 0);
    while (PyDict_Next(locals, &place, NULL, &value))
        visit(value, walk);
    end_row(walk, first);
}

static void
drain(Walk *walk, PyObject *types)
{
    while (walk->pending.used > 0 && !walk->budget.exceeded) {
        walk->pending.used -= sizeof(PyObject *);
        row_of_object(walk, *(PyObject **)(walk->pending.data + walk->pending.used), FOUND, types);
    }
}

/* `roots` is flat: object, its locals as a dict or None, object, … */
static void
walk_roots(Walk *walk, PyObject *roots, PyObject *types)
{
    Py_ssize_t i;

    for (i = 0; i + 1 < PyList_Size(roots) && !walk->budget.exceeded; i += 2) {
        PyObject *root = PyList_GetItem(roots, i), *locals = PyList_GetItem(roots, i + 1);
        uint64_t address = (uint64_t)(uintptr_t)root;
        if (locals != Py_None) {
            addresses_add(&walk->budget, &walk->seen, address);
            addresses_add(&walk->budget, &walk->hidden, address); /* has its row, also when it is listed */
            row_of_frame(walk, root, locals, types);
        }
        else if (addresses_add(&walk->budget, &walk->seen, address))
            ARRAY_PUSH(&walk->budget, &walk->pending, PyObject *, root);
        drain(walk, types);
    }
}

/* How many in the collector's list are older than the object at `place` of it. The list begins with generation 0 and ends
   with generation 2; within each the oldest comes first. */
static inline size_t
rank_of(const Walk *walk, size_t place)
{
    size_t young = walk->younger[0], old = young + walk->younger[1];

    if (place >= old)
        return place - old;
    return place >= young ? walk->listed - old + place - young : walk->listed - young + place;
}

static inline size_t
tenth_of(const Walk *walk, size_t place)
{
    return rank_of(walk, place) * TENTHS / walk->listed;
}

#endif
