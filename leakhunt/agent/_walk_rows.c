/* Rows, and the columns that are written from its memory: single methods, called by native.py. */

#include "_walk_names.h"

typedef struct {
    PyObject_HEAD
    PyObject *owner;
    void *data;
    Py_ssize_t bytes;
} Column;

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

static PyObject *
column_of(Rows *self, Array *array)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(self->column_type, Py_tp_alloc);
    Column *column = (Column *)allocate(self->column_type, 0);

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
        fine = number_references(walk);
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

/* containers() -> {name: (dtype, buffer)} of the census, with the spectrum */
static PyObject *
rows_containers(Rows *self, PyObject *unused)
{
    Walk *walk = self->walk;
    PyObject *columns = PyDict_New();

    (void)unused;
    if (columns != NULL && !(put_column(columns, self, "container.address", "<u8", &walk->container_address) &&
                             put_column(columns, self, "container.type", "<u4", &walk->container_type) &&
                             put_column(columns, self, "container.length", "<u8", &walk->container_length) &&
                             put_column(columns, self, "spectrum.count", "<u8", &walk->spectrum)))
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

/* generations() -> rows at which generations 1 and 2 begin */
static PyObject *
rows_generations(Rows *self, PyObject *unused)
{
    (void)unused;
    return Py_BuildValue("(KK)", (unsigned long long)self->walk->first_rows[0], (unsigned long long)self->walk->first_rows[1]);
}

/* left_out() -> listed objects without a row, or None where all of the heap was walked */
static PyObject *
rows_left_out(Rows *self, PyObject *unused)
{
    (void)unused;
    return self->walk->is_frontier ? PyLong_FromSize_t(self->walk->left_out) : Py_NewRef(Py_None);
}

/* places() -> (dtype, buffer) of object.place, or None where the rows are in order of the list */
static PyObject *
rows_places(Rows *self, PyObject *unused)
{
    (void)unused;
    if (!self->walk->is_sliced)
        return Py_NewRef(Py_None);
    return Py_BuildValue("(sN)", "<u4", column_of(self, &self->walk->place));
}

/* holders() -> bytes: addresses of old objects far from the roots that refer to young ones */
static PyObject *
rows_holders(Rows *self, PyObject *unused)
{
    const Array *holders = &self->walk->holders;

    (void)unused;
    return PyBytes_FromStringAndSize(holders->data ? holders->data : "", (Py_ssize_t)holders->used);
}

static void
rows_dealloc(Rows *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);

    if (self->walk != NULL)
        walk_free(self->walk);
    Py_XDECREF(self->types);
    Py_XDECREF(self->held);
    Py_XDECREF(self->column_type);
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
    {"holders", (PyCFunction)rows_holders, METH_NOARGS, NULL},
    {"places", (PyCFunction)rows_places, METH_NOARGS, NULL},
    {"left_out", (PyCFunction)rows_left_out, METH_NOARGS, NULL},
    {"generations", (PyCFunction)rows_generations, METH_NOARGS, NULL},
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

Rows *
rows_new(const RowTypes *row_types, int deep, unsigned long long limit_bytes)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(row_types->rows, Py_tp_alloc);
    Rows *rows = (Rows *)allocate(row_types->rows, 0);

    if (rows == NULL)
        return NULL;
    rows->column_type = (PyTypeObject *)Py_NewRef((PyObject *)row_types->column);
    rows->walk = walk_new(deep, limit_bytes);
    rows->types = PyList_New(0);
    if (rows->walk == NULL || rows->types == NULL) {
        Py_DECREF(rows);
        PyErr_NoMemory();
        return NULL;
    }
    return rows;
}

int
rows_make_types(PyObject *module)
{
    RowTypes *types = PyModule_GetState(module);

    types->rows = (PyTypeObject *)PyType_FromSpec(&rows_spec);
    types->column = (PyTypeObject *)PyType_FromSpec(&column_spec);
    types->names = (PyTypeObject *)PyType_FromSpec(&known_names_spec);
    if (types->rows == NULL || types->column == NULL || types->names == NULL ||
        PyModule_AddObjectRef(module, "Rows", (PyObject *)types->rows) < 0 ||
        PyModule_AddObjectRef(module, "KnownNames", (PyObject *)types->names) < 0)
        return -1;
    return PyModule_AddObjectRef(module, "Column", (PyObject *)types->column);
}
