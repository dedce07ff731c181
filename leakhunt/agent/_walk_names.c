/* Names that are still right: of objects that refer to the same things as at the last graph.

   Nearly all that has a name (functions, classes, modules, attributes of long-lived objects) is the same at every graph,
   and naming it again in Python took ten times as long as the walk. An object is taken for unchanged when its address,
   its class and all addresses that it refers to are the same, those of its namespace too. An address may be used again,
   so a function's qualified name counts as well.

   Everything is copied, nothing of the program is kept alive; all memory is outside the program's allocator. */

#include "_walk_names.h"

#define MEMORY_MAX ((size_t)1 << 30)
#define MARKS_MAX 64

static uint64_t
mixed(uint64_t print, uint64_t value)
{
    print = (print ^ value) * 0x9E3779B97F4A7C15ull;
    return print ^ print >> 29;
}

/* Of a row: its class, and what it refers to, in order. */
static uint64_t
print_of_row(const Walk *walk, uint32_t row)
{
    uint64_t first = first_reference(walk, row), print = 0x6A09E667F3BCC908ull;
    uint32_t i, count = ARRAY_AT(&walk->count, uint32_t, row);

    print = mixed(print, (uint64_t)(uintptr_t)ARRAY_AT(&walk->kinds, Kind, ARRAY_AT(&walk->type, uint32_t, row)).type);
    print = mixed(print, count);
    for (i = 0; i < count; i++)
        print = mixed(print, ARRAY_AT(&walk->target, uint64_t, first + i));
    return print;
}

/* Of a function: its qualified name, for a new function may be at the address of an old one, with all parts where the
   old one had them. Both reads are C of the interpreter. */
static uint64_t
print_of_qualname(PyObject *function, PyObject *qualname)
{
    PyObject *name = PyObject_GetAttr(function, qualname);
    uint64_t print = name != NULL && PyUnicode_CheckExact(name) ? (uint64_t)PyObject_Hash(name) : 0;

    Py_XDECREF(name);
    PyErr_Clear();
    return print;
}

static uint64_t
print_of_address(const Walk *walk, uint64_t address)
{
    uint32_t row = row_at(walk, address);
    return row == GONE ? 0 : print_of_row(walk, row);
}

/* Of an object and the namespaces in which its attributes are. */
static uint64_t
print_of_object(const Walk *walk, uint32_t row, uint64_t qualname, const uint64_t *spaces, size_t count)
{
    uint64_t print = mixed(print_of_row(walk, row), qualname);
    size_t i;

    for (i = 0; i < count; i++)
        print = mixed(print, print_of_address(walk, spaces[i]));
    return print;
}

static size_t
slot_of(uint64_t address, size_t slots)
{
    return (size_t)((address >> 4) * 0x9E3779B97F4A7C15ull >> 20) & (slots - 1);
}

static NameEntry *
find_entry(const Names *names, uint64_t address)
{
    size_t slots = ARRAY_COUNT(&names->slots, uint32_t), slot;

    if (slots == 0)
        return NULL;
    for (slot = slot_of(address, slots); ARRAY_AT(&names->slots, uint32_t, slot); slot = (slot + 1) & (slots - 1)) {
        NameEntry *entry = &ARRAY_AT(&names->entries, NameEntry, ARRAY_AT(&names->slots, uint32_t, slot) - 1);
        if (entry->address == address)
            return entry;
    }
    return NULL;
}

static void
put_slot(Names *names, size_t entry)
{
    size_t slots = ARRAY_COUNT(&names->slots, uint32_t), slot;

    slot = slot_of(ARRAY_AT(&names->entries, NameEntry, entry).address, slots);
    while (ARRAY_AT(&names->slots, uint32_t, slot))
        slot = (slot + 1) & (slots - 1);
    ARRAY_AT(&names->slots, uint32_t, slot) = (uint32_t)entry + 1;
}

static int
grow_slots(Budget *budget, Names *names)
{
    size_t slots = ARRAY_COUNT(&names->slots, uint32_t), wanted = slots ? 2 * slots : 4096, i;
    Array fresh = {0};

    if (!array_reserve(budget, &fresh, wanted * sizeof(uint32_t)))
        return 0;
    fresh.used = wanted * sizeof(uint32_t); /* new pages are zero, and 0 is a free slot */
    array_free(budget, &names->slots);
    names->slots = fresh;
    for (i = 0; i < ARRAY_COUNT(&names->entries, NameEntry); i++)
        put_slot(names, i);
    return 1;
}

/* End an entry: all that was pushed since the last one belongs to it. */
static void
end_entry(Budget *budget, Names *names, uint64_t address, uint64_t print, uint64_t group)
{
    NameEntry entry = {
        address, print, group,
        (uint32_t)ARRAY_COUNT(&names->label_name, uint32_t), (uint32_t)ARRAY_COUNT(&names->name_text, uint32_t),
        (uint32_t)ARRAY_COUNT(&names->bound_value, uint64_t), (uint32_t)ARRAY_COUNT(&names->spaces, uint64_t),
    };

    if (2 * ARRAY_COUNT(&names->entries, NameEntry) >= ARRAY_COUNT(&names->slots, uint32_t) && !grow_slots(budget, names))
        return;
    if (ARRAY_PUSH(budget, &names->entries, NameEntry, entry))
        put_slot(names, ARRAY_COUNT(&names->entries, NameEntry) - 1);
}

static NameEntry
entry_before(const Names *names, const NameEntry *entry)
{
    static const NameEntry none = {0};
    return entry == &ARRAY_AT(&names->entries, NameEntry, 0) ? none : entry[-1];
}

static void
push_label(KnownNames *self, uint64_t first, uint32_t offset, uint32_t label)
{
    ARRAY_PUSH(&self->budget, &self->next.label_offset, uint32_t, offset);
    ARRAY_PUSH(&self->budget, &self->next.label_name, uint32_t, label);
    ARRAY_PUSH(&self->budget, &self->out_position, uint64_t, first + offset);
    ARRAY_PUSH(&self->budget, &self->out_label, uint32_t, label);
}

static void
push_name(KnownNames *self, uint32_t place)
{
    Names *last = &self->last, *next = &self->next;
    uint64_t address = ARRAY_AT(&last->name_address, uint64_t, place);
    uint32_t text = ARRAY_AT(&last->name_text, uint32_t, place), file = ARRAY_AT(&last->name_file, uint32_t, place),
             line = ARRAY_AT(&last->name_line, uint32_t, place);

    ARRAY_PUSH(&self->budget, &next->name_address, uint64_t, address);
    ARRAY_PUSH(&self->budget, &next->name_text, uint32_t, text);
    ARRAY_PUSH(&self->budget, &next->name_file, uint32_t, file);
    ARRAY_PUSH(&self->budget, &next->name_line, uint32_t, line);
    ARRAY_PUSH(&self->budget, &self->out_address, uint64_t, address);
    ARRAY_PUSH(&self->budget, &self->out_text, uint32_t, text);
    ARRAY_PUSH(&self->budget, &self->out_file, uint32_t, file);
    ARRAY_PUSH(&self->budget, &self->out_line, uint32_t, line);
}

/* The entry's labels and names are those of this graph too, for the object whose row is given. */
static void
copy_entry(KnownNames *self, const Walk *walk, const NameEntry *entry, uint32_t row)
{
    NameEntry before = entry_before(&self->last, entry);
    uint64_t first = first_reference(walk, row);
    uint32_t i;

    for (i = before.label_end; i < entry->label_end; i++)
        push_label(self, first, ARRAY_AT(&self->last.label_offset, uint32_t, i),
                   ARRAY_AT(&self->last.label_name, uint32_t, i));
    for (i = before.name_end; i < entry->name_end; i++)
        push_name(self, i);
    for (i = before.bound_end; i < entry->bound_end; i++) {
        uint64_t bound = ARRAY_AT(&self->last.bound_value, uint64_t, i);
        ARRAY_PUSH(&self->budget, &self->next.bound_value, uint64_t, bound);
        ARRAY_PUSH(&self->budget, &self->out_row, uint32_t, row);
        ARRAY_PUSH(&self->budget, &self->out_bound, uint64_t, bound);
    }
    for (i = before.space_end; i < entry->space_end; i++)
        ARRAY_PUSH(&self->budget, &self->next.spaces, uint64_t, ARRAY_AT(&self->last.spaces, uint64_t, i));
    if (entry->group != 0)
        ARRAY_PUSH(&self->budget, &self->out_group, uint64_t, entry->group);
    end_entry(&self->budget, &self->next, entry->address, entry->print, entry->group);
}

/* Whether the labels of a namespace are those of the last graph; they are copied then, once. */
static int
recall_space(KnownNames *self, const Walk *walk, uint64_t address)
{
    const NameEntry *entry;
    uint32_t row;

    if (find_entry(&self->next, address) != NULL)
        return 1;
    entry = find_entry(&self->last, address);
    row = row_at(walk, address);
    if (entry == NULL || row == GONE || entry->print != mixed(print_of_row(walk, row), 0))
        return 0;
    copy_entry(self, walk, entry, row);
    return 1;
}

static int
recall_object(KnownNames *self, const Walk *walk, PyObject *item, int is_function)
{
    const NameEntry *entry = find_entry(&self->last, (uint64_t)(uintptr_t)item);
    uint32_t row = entry ? row_at(walk, entry->address) : GONE, i;
    const uint64_t *spaces;
    NameEntry before;

    if (row == GONE || find_entry(&self->next, entry->address) != NULL)
        return 0;
    before = entry_before(&self->last, entry);
    spaces = &ARRAY_AT(&self->last.spaces, uint64_t, before.space_end);
    if (entry->print != print_of_object(walk, row, is_function ? print_of_qualname(item, self->qualname) : 0, spaces,
                                        entry->space_end - before.space_end))
        return 0;
    for (i = 0; i < entry->space_end - before.space_end; i++)
        if (!recall_space(self, walk, spaces[i]))
            return 0;
    copy_entry(self, walk, entry, row);
    return 1;
}

static Walk *
walk_of(KnownNames *self, PyObject *rows)
{
    Walk *walk = Py_TYPE(rows) == self->rows_type ? ((Rows *)rows)->walk : NULL;

    if (walk == NULL || !walk->is_numbered || walk->seen.regions.used == 0) {
        PyErr_SetString(PyExc_ValueError, "names are recalled for rows that are numbered, and whose columns are not made");
        return NULL;
    }
    return walk;
}

/* recall(rows, [object], class of functions) -> [those whose names of the last graph are not right any more] */
static PyObject *
names_recall(KnownNames *self, PyObject *arguments)
{
    PyObject *rows, *items, *function_type, *others;
    Walk *walk;
    Py_ssize_t i;

    if (!PyArg_ParseTuple(arguments, "OO!O", &rows, &PyList_Type, &items, &function_type) ||
        (walk = walk_of(self, rows)) == NULL || (others = PyList_New(0)) == NULL)
        return NULL;
    for (i = 0; i < PyList_Size(items); i++) {
        PyObject *item = PyList_GetItem(items, i);
        if (!recall_object(self, walk, item, Py_TYPE(item) == (PyTypeObject *)function_type) &&
            PyList_Append(others, item) < 0) {
            Py_DECREF(others);
            return NULL;
        }
    }
    return others;
}

/* recall_namespace(rows, address) -> whether its labels of the last graph are right, and are taken over */
static PyObject *
names_recall_namespace(KnownNames *self, PyObject *arguments)
{
    PyObject *rows, *address;
    Walk *walk;
    void *pointer;

    if (!PyArg_ParseTuple(arguments, "OO", &rows, &address) || (walk = walk_of(self, rows)) == NULL)
        return NULL;
    pointer = PyLong_AsVoidPtr(address);
    if (PyErr_Occurred())
        return NULL;
    return PyBool_FromLong(recall_space(self, walk, (uint64_t)(uintptr_t)pointer));
}

/* The parts of the columns that one named object has, from the end of the one before. */
typedef struct {
    uint64_t address, qualname, group, label_end, name_end, bound_end, space_end;
} Given;

typedef struct {
    Py_buffer given, spaces, position, label, address, text, file, line, bound;
} GivenColumns;

static int
is_within(const GivenColumns *columns, const Given *given)
{
    return given->label_end * sizeof(uint64_t) <= (uint64_t)columns->position.len &&
           given->label_end * sizeof(uint32_t) <= (uint64_t)columns->label.len &&
           given->name_end * sizeof(uint64_t) <= (uint64_t)columns->address.len &&
           given->name_end * sizeof(uint32_t) <= (uint64_t)columns->text.len &&
           given->name_end * sizeof(uint32_t) <= (uint64_t)columns->file.len &&
           given->name_end * sizeof(uint32_t) <= (uint64_t)columns->line.len &&
           given->bound_end * sizeof(uint64_t) <= (uint64_t)columns->bound.len &&
           given->space_end * sizeof(uint64_t) <= (uint64_t)columns->spaces.len;
}

static void
remember_one(KnownNames *self, const Walk *walk, const GivenColumns *columns, const Given *before, const Given *given)
{
    uint32_t row = given->address ? row_at(walk, given->address) : GONE;
    const uint64_t *spaces = (const uint64_t *)columns->spaces.buf + before->space_end;
    Names *next = &self->next;
    Budget *budget = &self->budget;
    uint64_t first, i;

    if (row == GONE || find_entry(next, given->address) != NULL)
        return;
    first = first_reference(walk, row);
    for (i = before->label_end; i < given->label_end; i++) {
        ARRAY_PUSH(budget, &next->label_offset, uint32_t, (uint32_t)(((const uint64_t *)columns->position.buf)[i] - first));
        ARRAY_PUSH(budget, &next->label_name, uint32_t, ((const uint32_t *)columns->label.buf)[i]);
    }
    for (i = before->name_end; i < given->name_end; i++) {
        ARRAY_PUSH(budget, &next->name_address, uint64_t, ((const uint64_t *)columns->address.buf)[i]);
        ARRAY_PUSH(budget, &next->name_text, uint32_t, ((const uint32_t *)columns->text.buf)[i]);
        ARRAY_PUSH(budget, &next->name_file, uint32_t, ((const uint32_t *)columns->file.buf)[i]);
        ARRAY_PUSH(budget, &next->name_line, uint32_t, ((const uint32_t *)columns->line.buf)[i]);
    }
    for (i = before->bound_end; i < given->bound_end; i++)
        ARRAY_PUSH(budget, &next->bound_value, uint64_t, ((const uint64_t *)columns->bound.buf)[i]);
    for (i = before->space_end; i < given->space_end; i++)
        ARRAY_PUSH(budget, &next->spaces, uint64_t, ((const uint64_t *)columns->spaces.buf)[i]);
    end_entry(budget, next, given->address,
              print_of_object(walk, row, given->qualname, spaces, given->space_end - before->space_end), given->group);
}

/* remember(rows, given, spaces, position, label, address, text, file, line, bound): what Python named of this graph.

   `given` has the seven numbers of Given for each object, 0 for the address of one that is not to be remembered; the
   others are the columns, without what was recalled. */
static PyObject *
names_remember(KnownNames *self, PyObject *arguments)
{
    GivenColumns columns = {0};
    Py_buffer *every = &columns.given;
    Given before = {0};
    PyObject *rows;
    Walk *walk;
    size_t i;

    if (!PyArg_ParseTuple(arguments, "Oy*y*y*y*y*y*y*y*y*", &rows, &columns.given, &columns.spaces, &columns.position,
                          &columns.label, &columns.address, &columns.text, &columns.file, &columns.line, &columns.bound))
        return NULL;
    walk = walk_of(self, rows);
    for (i = 0; walk != NULL && i < (size_t)columns.given.len / sizeof(Given); i++) {
        Given given = ((const Given *)columns.given.buf)[i];
        if (!is_within(&columns, &given))
            break;
        remember_one(self, walk, &columns, &before, &given);
        before = given;
    }
    for (i = 0; i < sizeof(columns) / sizeof(Py_buffer); i++)
        PyBuffer_Release(&every[i]);
    return walk ? Py_NewRef(Py_None) : NULL;
}

static void
names_free(Budget *budget, Names *names)
{
    Array *arrays[] = {
        &names->entries, &names->slots, &names->label_offset, &names->label_name, &names->name_address,
        &names->name_text, &names->name_file, &names->name_line, &names->bound_value, &names->spaces,
    };
    size_t i;

    for (i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
        array_free(budget, arrays[i]);
}

static void
free_columns(KnownNames *self)
{
    Array *arrays[] = {
        &self->out_position, &self->out_label, &self->out_address, &self->out_text, &self->out_file,
        &self->out_line, &self->out_row, &self->out_bound, &self->out_group,
    };
    size_t i;

    for (i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
        array_free(&self->budget, arrays[i]);
}

static void
clear_next(KnownNames *self)
{
    names_free(&self->budget, &self->next);
    free_columns(self);
}

/* begin(): a graph is about to be named. end(): it was, and is what the next one is compared with. forget() */
static PyObject *
names_begin(KnownNames *self, PyObject *unused)
{
    (void)unused;
    clear_next(self);
    return Py_NewRef(Py_None);
}

static PyObject *
names_end(KnownNames *self, PyObject *unused)
{
    Names last = self->last;

    (void)unused;
    self->last = self->next;
    self->next = last;
    clear_next(self);
    if (self->budget.exceeded) { /* a part is missing: better none of it */
        names_free(&self->budget, &self->last);
        self->budget.exceeded = 0;
    }
    return Py_NewRef(Py_None);
}

static PyObject *
names_forget(KnownNames *self, PyObject *unused)
{
    (void)unused;
    names_free(&self->budget, &self->last);
    clear_next(self);
    return Py_NewRef(Py_None);
}

static PyObject *
bytes_of(const Array *array)
{
    return PyBytes_FromStringAndSize(array->data ? array->data : "", (Py_ssize_t)array->used);
}

/* columns() -> bytes of label.position, label.name, name.address, .text, .file, .line, bound.object, .value, and the groups */
static PyObject *
names_columns(KnownNames *self, PyObject *unused)
{
    (void)unused;
    return Py_BuildValue("(NNNNNNNNN)", bytes_of(&self->out_position), bytes_of(&self->out_label),
                         bytes_of(&self->out_address), bytes_of(&self->out_text), bytes_of(&self->out_file),
                         bytes_of(&self->out_line), bytes_of(&self->out_row), bytes_of(&self->out_bound),
                         bytes_of(&self->out_group));
}

/* mark_line(): put a mark behind all that the collector lists by now; every second one goes where there are many, but never
   the first. line_marks() -> [those there are, the oldest first] */
static PyObject *
names_mark_line(KnownNames *self, PyObject *unused)
{
    PyObject *mark = PyList_New(0);
    size_t i, count;

    (void)unused;
    if (mark == NULL)
        return NULL;
    if (!ARRAY_PUSH(&self->budget, &self->marks, PyObject *, mark)) {
        self->budget.exceeded = 0;
        Py_DECREF(mark);
        return PyErr_NoMemory();
    }
    count = ARRAY_COUNT(&self->marks, PyObject *);
    if (count > MARKS_MAX) {
        for (i = 1; i < count; i += 2)
            Py_DECREF(ARRAY_AT(&self->marks, PyObject *, i));
        for (i = 2; i < count; i += 2)
            ARRAY_AT(&self->marks, PyObject *, i / 2) = ARRAY_AT(&self->marks, PyObject *, i);
        self->marks.used = (count + 1) / 2 * sizeof(PyObject *);
    }
    return Py_NewRef(Py_None);
}

static PyObject *
names_line_marks(KnownNames *self, PyObject *unused)
{
    size_t i, count = ARRAY_COUNT(&self->marks, PyObject *);
    PyObject *marks = PyList_New((Py_ssize_t)count);

    (void)unused;
    for (i = 0; marks != NULL && i < count; i++)
        PyList_SetItem(marks, (Py_ssize_t)i, Py_NewRef(ARRAY_AT(&self->marks, PyObject *, i)));
    return marks;
}

static void
names_dealloc(KnownNames *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);

    size_t i;

    for (i = 0; i < ARRAY_COUNT(&self->marks, PyObject *); i++)
        Py_DECREF(ARRAY_AT(&self->marks, PyObject *, i));
    array_free(&self->budget, &self->marks);
    names_free(&self->budget, &self->last);
    clear_next(self);
    Py_XDECREF((PyObject *)self->rows_type);
    Py_XDECREF(self->qualname);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef names_methods[] = {
    {"begin", (PyCFunction)names_begin, METH_NOARGS, NULL},
    {"columns", (PyCFunction)names_columns, METH_NOARGS, NULL},
    {"end", (PyCFunction)names_end, METH_NOARGS, NULL},
    {"forget", (PyCFunction)names_forget, METH_NOARGS, NULL},
    {"line_marks", (PyCFunction)names_line_marks, METH_NOARGS, NULL},
    {"mark_line", (PyCFunction)names_mark_line, METH_NOARGS, NULL},
    {"recall", (PyCFunction)names_recall, METH_VARARGS, NULL},
    {"recall_namespace", (PyCFunction)names_recall_namespace, METH_VARARGS, NULL},
    {"remember", (PyCFunction)names_remember, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot names_slots[] = {
    {Py_tp_dealloc, (void *)names_dealloc},
    {Py_tp_methods, names_methods},
    {0, NULL},
};

PyType_Spec known_names_spec = {
    "_leakhunt_agent._walk.KnownNames", sizeof(KnownNames), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, names_slots,
};

PyObject *
known_names(PyObject *module, PyObject *unused)
{
    RowTypes *types = PyModule_GetState(module);
    allocfunc allocate = (allocfunc)PyType_GetSlot(types->names, Py_tp_alloc);
    KnownNames *names = (KnownNames *)allocate(types->names, 0);

    (void)unused;
    if (names != NULL) {
        names->rows_type = (PyTypeObject *)Py_NewRef((PyObject *)types->rows);
        names->budget.limit_bytes = MEMORY_MAX;
        names->qualname = PyUnicode_InternFromString("__qualname__");
        if (names->qualname == NULL)
            Py_CLEAR(names);
    }
    return (PyObject *)names;
}
