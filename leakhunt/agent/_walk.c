/* The C engine's hot walk: the heap as rows, in one call under the GIL.

   One library for CPython 3.11 and later (limited API). `take` lists the heap and walks it; nothing but C runs from
   its first line to its last, so no thread of the program can change anything meanwhile: no bytecode, no collection
   (switched off for that time), no method of the program. It gives the rows of walk.py, in the same order.

   Tuples and frozensets that a C function of the program is still filling are in the list as well (listing.py); the
   list is let go before the GIL is. */

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#define PY_SSIZE_T_CLEAN
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mremap, RTLD_DEFAULT */
#endif
#include <Python.h>
#include <dlfcn.h>
#include <time.h>

#include "_walk_addresses.h"
#include "_walk_twin.h"

#ifdef Py_GIL_DISABLED
#error "free-threaded builds use the Python engine"
#endif

/* As in schema.py. */
#define NO_LENGTH UINT32_MAX
#define SATURATED UINT32_MAX
#define GONE UINT32_MAX
#define OBJECT_TRACKED 1
#define OBJECT_FINALIZED 2
#define CONTAINER_FLOOR 32

#define PREFETCH_AHEAD 32
#define HELD_OF_A_CLASS 1024       /* instances of one class kept for labelling */
#define HELD_OF_A_NAMED_CLASS (1 << 18) /* functions, modules, classes and the like */
#define BASE_EVERY 64              /* rows per entry of the table of first references */

typedef enum { SIZE_FIXED, SIZE_OF_TUPLE, SIZE_BY_C, SIZE_ASKED, SIZE_UNKNOWN } SizeRule;
typedef enum { NO_ITEMS, DICT_ITEMS, LIST_ITEMS, TUPLE_ITEMS, SET_ITEMS, ITEMS_ASKED } LengthRule;

/* What the walk knows of one class. */
typedef struct {
    PyTypeObject *type;
    traverseproc traverse;
    inquiry is_gc; /* NULL: every instance is */
    SizeRule size_rule;
    LengthRule length_rule;
    PyCFunction sizeof_; /* SIZE_BY_C */
    int64_t size_bytes;  /* of every instance, or what comes on top of `sizeof_` */
    PyObject *length, *item_size; /* ITEMS_ASKED, borrowed from the rules */
    uint32_t held, held_max;
    int is_mapping, is_plain_dict, is_weak;
    uint64_t count, young, bytes;
} Kind;

/* What Python tells once per walk; borrowed. */
typedef struct {
    PyObject *get_objects, *getsizeof, *mro_of, *namespace_of, *itemsize_of, *weak_type, *referent_of;
    PyObject *builtin_method_type; /* type(list.__sizeof__) */
    PyObject *lengths;             /* list of (class, length callable, item size callable or None) */
    PyObject *named;               /* tuple of classes whose instances are all kept for labelling */
    PyObject *sizeof_name;
} Rules;

typedef struct {
    uint64_t row, size;
} HugeSize;

typedef struct {
    Budget budget;
    Rules rules;
    int deep;
    Addresses seen, hidden, known;
    Array kinds, kind_slots; /* Kind; index + 1 of a Kind by hash of its class */
    Array pending;           /* PyObject *: seen and not a row yet */
    Array held;              /* PyObject *: kept alive for labelling */
    Array address, type, size, length, refcount, flags, count, target;
    Array container_address, container_type, container_length;
    Array weak_source, weak_target;
    Array bases; /* uint64_t: first reference of every BASE_EVERY-th row */
    Array huge;  /* HugeSize: rows whose size takes more than 32 bits */
    Array row_of; /* uint32_t by number in `seen` */
    size_t rows;
    size_t tuple_bytes;
    int is_numbered;
} Walk;

typedef struct {
    PyObject_HEAD
    Walk *walk;
    PyObject *types, *held;
    double hold_seconds;
} Rows;

typedef struct {
    PyObject_HEAD
    PyObject *owner;
    void *data;
    Py_ssize_t bytes;
} Column;

static PyTypeObject *rows_type, *column_type;

static double
now(void)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (double)moment.tv_sec + 1e-9 * (double)moment.tv_nsec;
}

/* ---- classes ---- */

static size_t
kind_hash(const PyTypeObject *type)
{
    return (size_t)(((uint64_t)(uintptr_t)type >> 4) * 0x9E3779B97F4A7C15ull >> 24);
}

/* The entry `__sizeof__` of a class, found without running code of it: (new reference, defining class borrowed). */
static PyObject *
find_sizeof(const Rules *rules, PyTypeObject *type, PyObject **owner)
{
    PyObject *mro = PyObject_CallFunctionObjArgs(rules->mro_of, (PyObject *)type, NULL), *entry = NULL;
    Py_ssize_t i;

    if (mro == NULL || !PyTuple_Check(mro)) {
        Py_XDECREF(mro);
        return NULL;
    }
    for (i = 0; i < PyTuple_Size(mro) && entry == NULL; i++) {
        PyObject *base = PyTuple_GetItem(mro, i);
        PyObject *namespace = PyObject_CallFunctionObjArgs(rules->namespace_of, base, NULL);
        if (namespace != NULL && namespace != Py_None && PySequence_Contains(namespace, rules->sizeof_name) == 1) {
            entry = PyObject_GetItem(namespace, rules->sizeof_name);
            *owner = base;
        }
        Py_XDECREF(namespace);
    }
    Py_DECREF(mro); /* the class keeps it alive */
    return entry;
}

static int64_t
number_from(PyObject *number)
{
    int64_t value = number ? PyLong_AsLongLong(number) : -1;
    Py_XDECREF(number);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return -1;
    }
    return value;
}

static int64_t
number_of(PyObject *function, PyObject *argument)
{
    return number_from(PyObject_CallFunctionObjArgs(function, argument, NULL));
}

/* The C function behind the method descriptor `entry`, NULL when it takes more than the object. */
static PyCFunction
function_behind(PyObject *entry, PyObject *sample)
{
    descrgetfunc get = (descrgetfunc)PyType_GetSlot(Py_TYPE(entry), Py_tp_descr_get);
    PyObject *bound = get ? get(entry, sample, (PyObject *)Py_TYPE(sample)) : NULL;
    PyCFunction function = NULL;

    if (bound != NULL && PyObject_TypeCheck(bound, &PyCFunction_Type) && PyCFunction_GetFlags(bound) == METH_NOARGS)
        function = PyCFunction_GetFunction(bound);
    Py_XDECREF(bound);
    PyErr_Clear();
    return function;
}

/* As `size_rule` in plans.py: a builtin's `__sizeof__` and the collector's header, or object's where the program
   wrote its own. */
static void
learn_size(const Rules *rules, Kind *kind, PyObject *sample, PyObject *object_sizeof)
{
    PyObject *owner = NULL, *entry = find_sizeof(rules, kind->type, &owner);
    int is_builtin = entry != NULL && (PyObject *)Py_TYPE(entry) == rules->builtin_method_type;
    int has_items = number_of(rules->itemsize_of, (PyObject *)kind->type) != 0;
    int is_objects = owner == (PyObject *)&PyBaseObject_Type;

    kind->sizeof_ = function_behind(is_builtin ? entry : object_sizeof, sample);
    if (kind->sizeof_ == NULL)
        kind->size_rule = is_builtin ? SIZE_ASKED : SIZE_UNKNOWN;
    else {
        int64_t bare = number_from(kind->sizeof_(sample, NULL));
        int64_t whole = is_builtin ? number_of(rules->getsizeof, sample) : bare;
        int is_fixed = !has_items && (is_objects || !is_builtin);
        if (bare < 0 || whole < 0)
            kind->size_rule = SIZE_UNKNOWN;
        else if (kind->is_gc != NULL && is_builtin)
            kind->size_rule = SIZE_ASKED; /* not every instance has the collector's header */
        else {
            kind->size_rule = is_fixed ? SIZE_FIXED : SIZE_BY_C;
            kind->size_bytes = is_fixed ? whole : whole - bare;
        }
    }
    PyErr_Clear();
    Py_XDECREF(entry);
}

static void
learn_length(const Rules *rules, Kind *kind)
{
    unsigned long flags = PyType_GetFlags(kind->type);
    Py_ssize_t i;

    if (flags & Py_TPFLAGS_DICT_SUBCLASS)
        kind->length_rule = DICT_ITEMS;
    else if (flags & Py_TPFLAGS_LIST_SUBCLASS)
        kind->length_rule = LIST_ITEMS;
    else if (flags & Py_TPFLAGS_TUPLE_SUBCLASS)
        kind->length_rule = TUPLE_ITEMS;
    else if (PyType_IsSubtype(kind->type, &PySet_Type) || PyType_IsSubtype(kind->type, &PyFrozenSet_Type))
        kind->length_rule = SET_ITEMS;
    for (i = 0; kind->length_rule == NO_ITEMS && i < PyList_Size(rules->lengths); i++) {
        PyObject *rule = PyList_GetItem(rules->lengths, i);
        if (PyType_IsSubtype(kind->type, (PyTypeObject *)PyTuple_GetItem(rule, 0))) {
            kind->length_rule = ITEMS_ASKED;
            kind->length = PyTuple_GetItem(rule, 1);
            kind->item_size = PyTuple_GetItem(rule, 2);
        }
    }
}

/* How many instances are kept for labelling: none of the builtin containers and of what has no references. */
static uint32_t
held_max(const Rules *rules, const Kind *kind)
{
    PyTypeObject *type = kind->type;
    Py_ssize_t i;

    if (kind->is_plain_dict || type == &PyList_Type || type == &PyTuple_Type || type == &PySet_Type ||
        type == &PyFrozenSet_Type || kind->traverse == NULL || kind->is_weak)
        return 0;
    for (i = 0; i < PyTuple_Size(rules->named); i++)
        if (PyType_IsSubtype(type, (PyTypeObject *)PyTuple_GetItem(rules->named, i)))
            return HELD_OF_A_NAMED_CLASS;
    return HELD_OF_A_CLASS;
}

static Kind *
kind_learn(Walk *walk, PyTypeObject *type, PyObject *sample, PyObject *types)
{
    Kind kind = {0};
    PyObject *object_sizeof = NULL, *owner;

    kind.type = type;
    if (PyType_GetFlags(type) & Py_TPFLAGS_HAVE_GC) {
        kind.traverse = (traverseproc)PyType_GetSlot(type, Py_tp_traverse);
        kind.is_gc = (inquiry)PyType_GetSlot(type, Py_tp_is_gc);
    }
    kind.is_mapping = (PyType_GetFlags(type) & Py_TPFLAGS_DICT_SUBCLASS) != 0;
    kind.is_plain_dict = type == &PyDict_Type;
    kind.is_weak = PyType_IsSubtype(type, (PyTypeObject *)walk->rules.weak_type);
    if (type == &PyTuple_Type)
        kind.size_rule = SIZE_OF_TUPLE;
    else {
        object_sizeof = find_sizeof(&walk->rules, &PyBaseObject_Type, &owner);
        if (object_sizeof != NULL)
            learn_size(&walk->rules, &kind, sample, object_sizeof);
        else
            kind.size_rule = SIZE_UNKNOWN;
        Py_XDECREF(object_sizeof);
    }
    learn_length(&walk->rules, &kind);
    kind.held_max = walk->deep ? held_max(&walk->rules, &kind) : 0;
    PyErr_Clear();
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

    if (2 * ARRAY_COUNT(&walk->kinds, Kind) >= slots) {
        if (!kind_slots_grow(walk))
            return NULL;
        slots = ARRAY_COUNT(&walk->kind_slots, uint32_t);
    }
    for (slot = kind_hash(type) & (slots - 1); ARRAY_AT(&walk->kind_slots, uint32_t, slot); slot = (slot + 1) & (slots - 1)) {
        kind = &ARRAY_AT(&walk->kinds, Kind, ARRAY_AT(&walk->kind_slots, uint32_t, slot) - 1);
        if (kind->type == type)
            return kind;
    }
    kind = kind_learn(walk, type, item, types);
    if (kind != NULL)
        ARRAY_AT(&walk->kind_slots, uint32_t, slot) = (uint32_t)ARRAY_COUNT(&walk->kinds, Kind);
    return kind;
}

/* ---- one object ---- */

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

/* Put what a row refers to on the stack, where it was not seen before. */
static void
discover(Walk *walk, size_t first)
{
    size_t i, end = ARRAY_COUNT(&walk->target, uint64_t);

    for (i = first; i < end; i++) {
        uint64_t address = ARRAY_AT(&walk->target, uint64_t, i);
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

static void
row_of_object(Walk *walk, PyObject *item, int is_listed, PyObject *types)
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
    if (is_listed) {
        flags = OBJECT_TRACKED | (PyObject_GC_IsFinalized(item) ? OBJECT_FINALIZED : 0);
        kind->count++;
        kind->bytes += size;
        if (length >= CONTAINER_FLOOR)
            note_container(walk, item, type, length);
    }
    if (kind->is_weak)
        note_weak(walk, item);
    append_row(walk, item, type, size, length, is_listed ? refcount_of(item, 1) : SATURATED, flags);
    if (kind->held < kind->held_max && ARRAY_PUSH(&walk->budget, &walk->held, PyObject *, item)) {
        kind->held++;
        Py_IncRef(item); /* after its count is taken */
    }
    if (kind->is_mapping)
        traverse_mapping(kind, item, walk);
    else
        traverse(kind, item, visit, walk);
    end_row(walk, first);
}

/* ---- the walk ---- */

static void
drain(Walk *walk, PyObject *types)
{
    while (walk->pending.used > 0 && !walk->budget.exceeded) {
        walk->pending.used -= sizeof(PyObject *);
        row_of_object(walk, *(PyObject **)(walk->pending.data + walk->pending.used), 0, types);
    }
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
        if (!addresses_has(&walk->hidden, (uint64_t)(uintptr_t)item)) {
            row_of_object(walk, item, 1, types);
            drain(walk, types);
        }
    }
}

static void
walk_census(Walk *walk, PyObject *listed, PyObject *types)
{
    Py_ssize_t i, count = PyList_Size(listed);

    for (i = 0; i < count && !walk->budget.exceeded; i++) {
        PyObject *item = PyList_GetItem(listed, i);
        Kind *kind;
        int64_t length;
        if (i + PREFETCH_AHEAD < count)
            __builtin_prefetch(PyList_GetItem(listed, i + PREFETCH_AHEAD));
        if (addresses_has(&walk->hidden, (uint64_t)(uintptr_t)item))
            continue;
        kind = kind_of(walk, item, types);
        if (kind == NULL)
            return;
        kind->count++;
        if (kind->size_rule != SIZE_FIXED)
            kind->bytes += size_of(walk, kind, item);
        if (kind->length_rule != NO_ITEMS && (length = length_of(kind, item)) >= CONTAINER_FLOOR)
            note_container(walk, item, (uint32_t)(kind - &ARRAY_AT(&walk->kinds, Kind, 0)), length);
    }
    for (i = 0; i < (Py_ssize_t)ARRAY_COUNT(&walk->kinds, Kind); i++) {
        Kind *kind = &ARRAY_AT(&walk->kinds, Kind, i);
        if (kind->size_rule == SIZE_FIXED)
            kind->bytes = kind->count * (uint64_t)kind->size_bytes;
    }
}

/* Instances by class in generations 0 and 1. */
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

static void
walk_free(Walk *walk)
{
    Budget budget = walk->budget;
    Array *arrays[] = {
        &walk->kinds, &walk->kind_slots, &walk->pending, &walk->held, &walk->address, &walk->type, &walk->size,
        &walk->length, &walk->refcount, &walk->flags, &walk->count, &walk->target, &walk->container_address,
        &walk->container_type, &walk->container_length, &walk->weak_source, &walk->weak_target, &walk->bases,
        &walk->row_of, &walk->huge,
    };
    size_t i;

    for (i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
        array_free(&budget, arrays[i]);
    addresses_free(&budget, &walk->seen);
    addresses_free(&budget, &walk->hidden);
    addresses_free(&budget, &walk->known);
    munmap(walk, sizeof(*walk));
}

static Walk *
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

/* What the walk needs besides the heap is freed as soon as it stands. */
static void
walk_tidy(Walk *walk)
{
    array_free(&walk->budget, &walk->pending);
    array_free(&walk->budget, &walk->kind_slots);
    addresses_free(&walk->budget, &walk->hidden);
    addresses_free(&walk->budget, &walk->known);
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

static int
run(Rows *rows, PyObject *hidden, PyObject *roots)
{
    Walk *walk = rows->walk;
    PyObject *listed = PyObject_CallFunctionObjArgs(walk->rules.get_objects, NULL), *empty = PyTuple_New(0);

    if (listed == NULL || !PyList_Check(listed) || empty == NULL || !hide(walk, hidden)) {
        Py_XDECREF(listed);
        Py_XDECREF(empty);
        return 0;
    }
    walk->tuple_bytes = (size_t)number_of(walk->rules.getsizeof, empty);
    Py_DECREF(empty);
    if (walk->deep)
        walk_deep(walk, listed, roots, rows->types);
    else
        walk_census(walk, listed, rows->types);
    Py_DECREF(listed);
    rows->held = held_list(walk);
    if (!count_young(walk, rows->types) || rows->held == NULL)
        return 0;
    walk_tidy(walk);
    if (walk->budget.exceeded) {
        PyErr_SetString(PyExc_MemoryError, "the walk would take more memory than it may");
        return 0;
    }
    return !PyErr_Occurred();
}

PyDoc_STRVAR(take_doc,
"take(rules, hidden, roots, deep, limit_bytes) -> Rows\n\n"
"Lists and walks the heap in one go. `rules`: a tuple, see engine.py; `hidden`: list of addresses that are never\n"
"rows; `roots`: object, dict of locals or None, object, …; MemoryError when more than `limit_bytes` are needed.");

static PyObject *
take(PyObject *module, PyObject *arguments)
{
    PyObject *hidden, *roots;
    Rules rules = {0};
    unsigned long long limit_bytes;
    int deep, was_enabled, fine;
    Rows *rows;
    double begun = now();
    allocfunc allocate = (allocfunc)PyType_GetSlot(rows_type, Py_tp_alloc);

    (void)module;
    if (!PyArg_ParseTuple(arguments, "(OOOOOOOOO!O!O)O!O!pK", &rules.get_objects, &rules.getsizeof, &rules.mro_of,
                          &rules.namespace_of, &rules.itemsize_of, &rules.weak_type, &rules.referent_of,
                          &rules.builtin_method_type, &PyList_Type, &rules.lengths, &PyTuple_Type, &rules.named,
                          &rules.sizeof_name, &PyList_Type, &hidden, &PyList_Type, &roots, &deep, &limit_bytes))
        return NULL;
    rows = (Rows *)allocate(rows_type, 0);
    if (rows == NULL)
        return NULL;
    rows->walk = walk_new(deep, limit_bytes);
    rows->types = PyList_New(0);
    if (rows->walk == NULL || rows->types == NULL) {
        Py_DECREF(rows);
        return PyErr_NoMemory();
    }
    rows->walk->rules = rules;
    was_enabled = PyGC_Disable();
    fine = run(rows, hidden, roots);
    if (was_enabled)
        PyGC_Enable();
    memset(&rows->walk->rules, 0, sizeof(Rules));
    rows->hold_seconds = now() - begun;
    if (!fine) {
        Py_DECREF(rows);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    return (PyObject *)rows;
}

/* ---- after the walk: numbers instead of addresses, with the GIL released ---- */

static int
number_rows(Walk *walk)
{
    size_t row, count;

    if (walk->is_numbered)
        return 1;
    count = addresses_number(&walk->seen);
    if (!array_reserve(&walk->budget, &walk->row_of, (count + 1) * sizeof(uint32_t)))
        return 0;
    walk->row_of.used = count * sizeof(uint32_t);
    memset(walk->row_of.data, 0xff, walk->row_of.used); /* GONE */
    for (row = 0; row < walk->rows; row++) {
        uint32_t number = addresses_find(&walk->seen, ARRAY_AT(&walk->address, uint64_t, row));
        if (number != NOT_NUMBERED)
            ARRAY_AT(&walk->row_of, uint32_t, number) = (uint32_t)row;
    }
    walk->is_numbered = 1;
    return 1;
}

static uint32_t
row_at(const Walk *walk, uint64_t address)
{
    uint32_t number = addresses_find(&walk->seen, address);
    return number == NOT_NUMBERED ? GONE : ARRAY_AT(&walk->row_of, uint32_t, number);
}

/* Each address in `target` becomes the row it has; the array shrinks to half in its place. */
static void
resolve(Walk *walk)
{
    size_t i, count = ARRAY_COUNT(&walk->target, uint64_t);

    for (i = 0; i < count; i++) {
        uint32_t row = row_at(walk, ARRAY_AT(&walk->target, uint64_t, i));
        ARRAY_AT(&walk->target, uint32_t, i) = row;
    }
    walk->target.used = count * sizeof(uint32_t);
    addresses_free(&walk->budget, &walk->seen);
    array_free(&walk->budget, &walk->row_of);
}

static PyObject *
rows_number(Rows *self, PyObject *unused)
{
    int fine;

    (void)unused;
    Py_BEGIN_ALLOW_THREADS
    fine = number_rows(self->walk);
    Py_END_ALLOW_THREADS
    return fine ? Py_NewRef(Py_None) : PyErr_NoMemory();
}

static uint64_t
first_reference(const Walk *walk, size_t row)
{
    uint64_t first = ARRAY_AT(&walk->bases, uint64_t, row / BASE_EVERY);
    size_t before;

    for (before = row / BASE_EVERY * BASE_EVERY; before < row; before++)
        first += ARRAY_AT(&walk->count, uint32_t, before);
    return first;
}

/* locate(address) -> (row, position of its first reference, [addresses referred to]) or None */
static PyObject *
rows_locate(Rows *self, PyObject *address)
{
    Walk *walk = self->walk;
    void *pointer = PyLong_AsVoidPtr(address);
    PyObject *ids;
    uint64_t base;
    uint32_t row, i, count;

    if (PyErr_Occurred())
        return NULL;
    row = walk->is_numbered && walk->seen.regions.used ? row_at(walk, (uint64_t)(uintptr_t)pointer) : GONE;
    if (row == GONE)
        return Py_NewRef(Py_None);
    base = first_reference(walk, row);
    count = ARRAY_AT(&walk->count, uint32_t, row);
    ids = PyList_New(count);
    for (i = 0; ids != NULL && i < count; i++) {
        PyObject *id = PyLong_FromUnsignedLongLong(ARRAY_AT(&walk->target, uint64_t, base + i));
        if (id == NULL) {
            Py_DECREF(ids);
            return NULL;
        }
        PyList_SetItem(ids, i, id);
    }
    return ids ? Py_BuildValue("(kKN)", (unsigned long)row, (unsigned long long)base, ids) : NULL;
}

/* give_back(address, n): n references to an object were the walk's own */
static PyObject *
rows_give_back(Rows *self, PyObject *arguments)
{
    Walk *walk = self->walk;
    PyObject *address;
    unsigned int own;
    uint32_t row, *refcount;

    if (!PyArg_ParseTuple(arguments, "OI", &address, &own))
        return NULL;
    row = walk->is_numbered ? row_at(walk, (uint64_t)(uintptr_t)PyLong_AsVoidPtr(address)) : GONE;
    if (PyErr_Occurred())
        return NULL;
    if (row != GONE) {
        refcount = &ARRAY_AT(&walk->refcount, uint32_t, row);
        if (*refcount != SATURATED)
            *refcount -= *refcount < own ? *refcount : own;
    }
    return Py_NewRef(Py_None);
}

/* Widen the sizes to 64 bits, where one of them needs it. */
static int
widen_sizes(Walk *walk)
{
    Array wide = {0};
    size_t row, i;

    if (!array_reserve(&walk->budget, &wide, walk->rows * sizeof(uint64_t)))
        return 0;
    for (row = 0; row < walk->rows; row++)
        ARRAY_AT(&wide, uint64_t, row) = ARRAY_AT(&walk->size, uint32_t, row);
    for (i = 0; i < ARRAY_COUNT(&walk->huge, HugeSize); i++)
        ARRAY_AT(&wide, uint64_t, ARRAY_AT(&walk->huge, HugeSize, i).row) = ARRAY_AT(&walk->huge, HugeSize, i).size;
    wide.used = walk->rows * sizeof(uint64_t);
    array_free(&walk->budget, &walk->size);
    walk->size = wide;
    return 1;
}

static PyObject *
column_of(Rows *self, Array *array)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(column_type, Py_tp_alloc);
    Column *column = (Column *)allocate(column_type, 0);

    if (column != NULL) {
        column->owner = Py_NewRef((PyObject *)self);
        column->data = array->data ? array->data : (void *)"";
        column->bytes = (Py_ssize_t)array->used;
    }
    return (PyObject *)column;
}

static int
put_column(PyObject *columns, Rows *self, const char *name, const char *dtype, Array *array)
{
    PyObject *pair = Py_BuildValue("(sN)", dtype, column_of(self, array));
    int fine = pair != NULL && PyDict_SetItemString(columns, name, pair) == 0;

    Py_XDECREF(pair);
    return fine;
}

/* columns() -> {name: (dtype, buffer)} of the graph; numbers the references first, and `locate` finds nothing then */
static PyObject *
rows_columns(Rows *self, PyObject *unused)
{
    Walk *walk = self->walk;
    PyObject *columns;
    int fine = 1;

    (void)unused;
    if (walk->seen.regions.used || !walk->is_numbered) {
        Py_BEGIN_ALLOW_THREADS
        fine = number_rows(walk);
        if (fine)
            resolve(walk);
        if (fine && walk->huge.used)
            fine = widen_sizes(walk);
        Py_END_ALLOW_THREADS
    }
    if (!fine)
        return PyErr_NoMemory();
    columns = PyDict_New();
    if (columns == NULL)
        return NULL;
    fine = put_column(columns, self, "object.address", "<u8", &walk->address) &&
           put_column(columns, self, "object.type", "<u4", &walk->type) &&
           put_column(columns, self, "object.size", walk->huge.used ? "<u8" : "<u4", &walk->size) &&
           put_column(columns, self, "object.length", "<u4", &walk->length) &&
           put_column(columns, self, "object.refcount", "<u4", &walk->refcount) &&
           put_column(columns, self, "object.flags", "|u1", &walk->flags) &&
           put_column(columns, self, "reference.count", "<u4", &walk->count) &&
           put_column(columns, self, "reference.index", "<u4", &walk->target) &&
           put_column(columns, self, "weak.source", "<u4", &walk->weak_source) &&
           put_column(columns, self, "weak.target", "<u8", &walk->weak_target);
    if (!fine)
        Py_CLEAR(columns);
    return columns;
}

/* containers() -> {name: (dtype, buffer)} of the census */
static PyObject *
rows_containers(Rows *self, PyObject *unused)
{
    Walk *walk = self->walk;
    PyObject *columns = PyDict_New();

    (void)unused;
    if (columns != NULL && !(put_column(columns, self, "container.address", "<u8", &walk->container_address) &&
                             put_column(columns, self, "container.type", "<u4", &walk->container_type) &&
                             put_column(columns, self, "container.length", "<u8", &walk->container_length)))
        Py_CLEAR(columns);
    return columns;
}

/* counts() -> [(listed, young, bytes)] by class, in the order of take_types() */
static PyObject *
rows_counts(Rows *self, PyObject *unused)
{
    size_t k, kinds = ARRAY_COUNT(&self->walk->kinds, Kind);
    PyObject *counts = PyList_New((Py_ssize_t)kinds);

    (void)unused;
    for (k = 0; counts != NULL && k < kinds; k++) {
        Kind *kind = &ARRAY_AT(&self->walk->kinds, Kind, k);
        PyObject *row = Py_BuildValue("(KKK)", (unsigned long long)kind->count, (unsigned long long)kind->young,
                                      (unsigned long long)kind->bytes);
        if (row == NULL)
            Py_CLEAR(counts);
        else
            PyList_SetItem(counts, (Py_ssize_t)k, row);
    }
    return counts;
}

/* The two lists are handed over once: what they keep alive is let go by the engine, a slice at a time. */
static PyObject *
handed_over(PyObject **list)
{
    PyObject *given = *list;

    *list = NULL;
    return given ? given : PyList_New(0);
}

static PyObject *
rows_take_types(Rows *self, PyObject *unused)
{
    (void)unused;
    return handed_over(&self->types);
}

static PyObject *
rows_take_held(Rows *self, PyObject *unused)
{
    (void)unused;
    return handed_over(&self->held);
}

/* figures() -> (seconds the GIL was held, most bytes ever taken) */
static PyObject *
rows_figures(Rows *self, PyObject *unused)
{
    (void)unused;
    return Py_BuildValue("(dK)", self->hold_seconds, (unsigned long long)self->walk->budget.peak_bytes);
}

static void
rows_dealloc(Rows *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);

    if (self->walk != NULL)
        walk_free(self->walk);
    Py_XDECREF(self->types);
    Py_XDECREF(self->held);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static int
column_getbuffer(Column *self, Py_buffer *view, int flags)
{
    return PyBuffer_FillInfo(view, (PyObject *)self, self->data, self->bytes, 1, flags);
}

static void
column_dealloc(Column *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);

    Py_XDECREF(self->owner);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef rows_methods[] = {
    {"number", (PyCFunction)rows_number, METH_NOARGS, NULL},
    {"locate", (PyCFunction)rows_locate, METH_O, NULL},
    {"give_back", (PyCFunction)rows_give_back, METH_VARARGS, NULL},
    {"columns", (PyCFunction)rows_columns, METH_NOARGS, NULL},
    {"containers", (PyCFunction)rows_containers, METH_NOARGS, NULL},
    {"counts", (PyCFunction)rows_counts, METH_NOARGS, NULL},
    {"take_types", (PyCFunction)rows_take_types, METH_NOARGS, NULL},
    {"take_held", (PyCFunction)rows_take_held, METH_NOARGS, NULL},
    {"figures", (PyCFunction)rows_figures, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot rows_slots[] = {
    {Py_tp_dealloc, (void *)rows_dealloc},
    {Py_tp_methods, rows_methods},
    {0, NULL},
};

static PyType_Slot column_slots[] = {
    {Py_tp_dealloc, (void *)column_dealloc},
    {Py_bf_getbuffer, (void *)column_getbuffer},
    {0, NULL},
};

static PyType_Spec rows_spec = {
    "_leakhunt_agent._walk.Rows", sizeof(Rows), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, rows_slots,
};

static PyType_Spec column_spec = {
    "_leakhunt_agent._walk.Column", sizeof(Column), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, column_slots,
};

/* As in glibc 2.33's malloc.h, which may be newer than where this is built. */
typedef struct {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
} Mallinfo2;

PyDoc_STRVAR(malloc_figures_doc,
"malloc_figures() -> (in use, free, free at the top, mapped) bytes by glibc's account, or None before glibc 2.33");

static PyObject *
malloc_figures(PyObject *module, PyObject *unused)
{
    union {
        void *pointer;
        Mallinfo2 (*function)(void);
    } mallinfo2 = {dlsym(RTLD_DEFAULT, "mallinfo2")};
    Mallinfo2 info;

    (void)module;
    (void)unused;
    if (mallinfo2.pointer == NULL)
        return Py_NewRef(Py_None);
    info = mallinfo2.function();
    return Py_BuildValue("(nnnn)", (Py_ssize_t)(info.uordblks + info.hblkhd), (Py_ssize_t)info.fordblks,
                         (Py_ssize_t)info.keepcost, (Py_ssize_t)info.hblkhd);
}

static PyMethodDef module_methods[] = {
    {"leave", leave, METH_O, leave_doc},
    {"malloc_figures", malloc_figures, METH_NOARGS, malloc_figures_doc},
    {"take", take, METH_VARARGS, take_doc},
    {"twin", twin, METH_VARARGS, twin_doc},
    {NULL, NULL, 0, NULL},
};

/* Single-phase and without state: it is loaded once in a process, in the main interpreter. */
static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT, "_walk", "The C engine's hot walk; see the source.", -1, module_methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__walk(void)
{
    PyObject *module = PyModule_Create(&module_definition);

    if (module == NULL)
        return NULL;
    rows_type = (PyTypeObject *)PyType_FromSpec(&rows_spec);
    column_type = (PyTypeObject *)PyType_FromSpec(&column_spec);
    /* in the module, so that the agent knows them for its own */
    if (rows_type == NULL || column_type == NULL || PyModule_AddObjectRef(module, "Rows", (PyObject *)rows_type) < 0 ||
        PyModule_AddObjectRef(module, "Column", (PyObject *)column_type) < 0)
        Py_CLEAR(module);
    return module;
}
