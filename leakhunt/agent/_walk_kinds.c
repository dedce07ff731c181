/* Classes: how the size and the length of their instances are told, as in plans.py. */

#include "_walk_kinds.h"

#define HELD_OF_A_CLASS 1024       /* instances of one class kept for labelling */
#define HELD_OF_A_NAMED_CLASS (1 << 18) /* functions, modules, classes and the like */

/* Whether a class's namespace has nothing but strings for keys, and `name` among them: 1 and 0, or MIXED. In a mixed one
   the interpreter would compare keys by code of the program, so nothing is looked up there. No key is compared here
   but exact strings, and that in C. */
#define MIXED (-1)

static int
has_name(PyObject *namespace, PyObject *name)
{
    PyObject *keys = PyObject_GetIter(namespace), *key; /* of the dict behind a mappingproxy */
    int found = 0;

    if (keys == NULL)
        return MIXED;
    while (found != MIXED && (key = PyIter_Next(keys)) != NULL) {
        if (key == name)
            found = 1;
        else if (!PyUnicode_CheckExact(key))
            found = MIXED;
        else if (!found && PyUnicode_Compare(key, name) == 0)
            found = 1;
        Py_DECREF(key);
    }
    Py_DECREF(keys);
    return found;
}

/* The entry `__sizeof__` of a class, found without running code of the program: (new reference, defining class
   borrowed). NULL where a namespace of its bases is mixed. */
static PyObject *
find_sizeof(const Rules *rules, PyTypeObject *type, PyObject **owner)
{
    PyObject *mro = PyObject_CallFunctionObjArgs(rules->mro_of, (PyObject *)type, NULL), *entry = NULL;
    int is_mixed = 0;
    Py_ssize_t i;

    if (mro == NULL || !PyTuple_Check(mro)) {
        Py_XDECREF(mro);
        return NULL;
    }
    for (i = 0; i < PyTuple_Size(mro) && !is_mixed && entry == NULL; i++) {
        PyObject *base = PyTuple_GetItem(mro, i), *number = PyLong_FromVoidPtr(base), *namespace;
        if (number != NULL && PySet_Contains(rules->without_size, number) == 1) {
            Py_DECREF(number);
            continue;
        }
        namespace = PyObject_CallFunctionObjArgs(rules->namespace_of, base, NULL);
        if (namespace != NULL && namespace != Py_None) {
            int found = has_name(namespace, rules->sizeof_name);
            is_mixed = found == MIXED;
            if (found == 0 && number != NULL)
                PySet_Add(rules->without_size, number);
            if (found == 1) {
                entry = PyObject_GetItem(namespace, rules->sizeof_name);
                *owner = base;
            }
        }
        Py_XDECREF(namespace);
        Py_XDECREF(number);
    }
    Py_DECREF(mro); /* the class keeps it alive */
    return entry;
}

static int
is_known(const Rules *rules, PyObject *entry)
{
    Py_ssize_t i;

    for (i = 0; i < PyTuple_Size(rules->known_sizes); i++)
        if (PyTuple_GetItem(rules->known_sizes, i) == entry)
            return 1;
    return 0;
}

int64_t
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

int64_t
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

/* As `size_rule` in plans.py: a `__sizeof__` that is known to compute, and the collector's header; object's where the
   program, or somebody else's library, wrote its own: that may do anything, and let the GIL go. */
static void
learn_size(const Rules *rules, Kind *kind, PyObject *sample, PyObject *object_sizeof)
{
    PyObject *owner = NULL, *entry = find_sizeof(rules, kind->type, &owner);
    int is_builtin = entry != NULL && is_known(rules, entry);
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

/* As `base_rule` in plans.py. */
static void
learn_base(const Rules *rules, Kind *kind)
{
    Py_ssize_t i;

    for (i = 0; kind->base_of == NULL && i < PyList_Size(rules->bases); i++) {
        PyObject *rule = PyList_GetItem(rules->bases, i);
        if (PyType_IsSubtype(kind->type, (PyTypeObject *)PyTuple_GetItem(rule, 0)))
            kind->base_of = PyTuple_GetItem(rule, 1);
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

Kind
kind_of_class(const Rules *rules, PyTypeObject *type, PyObject *sample, int deep)
{
    Kind kind = {0};
    PyObject *object_sizeof = PyTuple_GetItem(rules->known_sizes, 0); /* borrowed */

    kind.type = type;
    if (PyType_GetFlags(type) & Py_TPFLAGS_HAVE_GC) {
        kind.traverse = (traverseproc)PyType_GetSlot(type, Py_tp_traverse);
        kind.is_gc = (inquiry)PyType_GetSlot(type, Py_tp_is_gc);
    }
    kind.is_mapping = (PyType_GetFlags(type) & Py_TPFLAGS_DICT_SUBCLASS) != 0;
    kind.is_plain_dict = type == &PyDict_Type;
    kind.is_weak = PyType_IsSubtype(type, (PyTypeObject *)rules->weak_type);
    if (type == &PyTuple_Type)
        kind.size_rule = SIZE_OF_TUPLE;
    else
        learn_size(rules, &kind, sample, object_sizeof);
    learn_length(rules, &kind);
    learn_base(rules, &kind);
    kind.held_max = deep ? held_max(rules, &kind) : 0;
    PyErr_Clear();
    return kind;
}
