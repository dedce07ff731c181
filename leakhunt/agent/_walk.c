/* The C engine: the heap as rows in one call, one library for CPython 3.11 and later (limited API). */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "_walk_births.h"
#include "_walk_names.h"
#include "_walk_twin.h"

#ifdef Py_GIL_DISABLED
#error "free-threaded builds use the Python engine"
#endif

static double
now(void)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (double)moment.tv_sec + 1e-9 * (double)moment.tv_nsec;
}

PyDoc_STRVAR(take_doc,
"take(rules, hidden, roots, deep, limit_bytes, line_marks, frontier_min, sought, yield_gil,\n"
"     sliced_min) -> Rows\n\n"
"Lists and walks the heap in one go. `rules`: a tuple, see native.py; `hidden`: list of addresses that are never\n"
"rows; `roots`: object, dict of locals or None, object, …; MemoryError when more than `limit_bytes` are needed;\n"
"`line_marks`: what was made at earlier looks, for lists of `frontier_min` objects and more, `sought`: what\n"
"holders() gave at the last look, see _walk_frontier.h; `yield_gil`: called between slices for lists of `sliced_min`\n"
"objects and more, see _walk_slices.h.");

static PyObject *
take(PyObject *module, PyObject *arguments)
{
    PyObject *hidden, *roots, *line_marks, *yield_gil;
    Rules rules = {0};
    unsigned long long limit_bytes, frontier_min, sliced_min;
    int deep, fine;
    Rows *rows;
    Py_buffer sought;
    Py_ssize_t i;
    double begun = now();

    if (!PyArg_ParseTuple(arguments, "(OOOOOOOO!O!O!O!O)O!O!pKO!Ky*OK", &rules.get_objects, &rules.getsizeof, &rules.mro_of,
                          &rules.namespace_of, &rules.itemsize_of, &rules.weak_type, &rules.referent_of,
                          &PyTuple_Type, &rules.known_sizes, &PyList_Type, &rules.lengths, &PyList_Type, &rules.bases,
                          &PyTuple_Type, &rules.named, &rules.sizeof_name, &PyList_Type, &hidden, &PyList_Type, &roots,
                          &deep, &limit_bytes, &PyList_Type, &line_marks, &frontier_min, &sought, &yield_gil,
                          &sliced_min))
        return NULL;
    rows = rows_new(PyModule_GetState(module), deep, limit_bytes);
    rules.without_size = rows ? PySet_New(NULL) : NULL;
    if (rules.without_size == NULL) {
        PyBuffer_Release(&sought);
        Py_XDECREF(rows);
        return NULL;
    }
    rows->walk->rules = rules;
    for (i = 0; i < sought.len / (Py_ssize_t)sizeof(uint64_t); i++)
        addresses_add(&rows->walk->budget, &rows->walk->sought, ((const uint64_t *)sought.buf)[i]);
    PyBuffer_Release(&sought);
    rows->walk->yield_gil = yield_gil;
    rows->walk->was_enabled = PyGC_Disable();
    fine = walk_heap(rows->walk, hidden, roots, line_marks, frontier_min, sliced_min, rows->types, &rows->held);
    if (rows->walk->was_enabled)
        PyGC_Enable();
    rows->walk->yield_gil = NULL;
    memset(&rows->walk->rules, 0, sizeof(Rules));
    Py_DECREF(rules.without_size);
    rows->hold_seconds = now() - begun;
    if (!fine) {
        Py_DECREF(rows);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    return (PyObject *)rows;
}

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

PyDoc_STRVAR(malloc_trim_doc, "malloc_trim() -> None: what glibc holds free goes back to the system; without the GIL");

static PyObject *
malloc_trim(PyObject *module, PyObject *unused)
{
    union {
        void *pointer;
        int (*function)(size_t);
    } trim = {dlsym(RTLD_DEFAULT, "malloc_trim")};

    (void)module;
    (void)unused;
    if (trim.pointer != NULL) {
        Py_BEGIN_ALLOW_THREADS
        trim.function(0);
        Py_END_ALLOW_THREADS
    }
    return Py_NewRef(Py_None);
}

PyDoc_STRVAR(python_memory_doc,
"python_memory() -> bytes, or None where it can't be had\n\n"
"What sys._debugmallocstats() prints of Python's own allocator, as text.");

static PyObject *
python_memory(PyObject *module, PyObject *unused)
{
    union {
        void *pointer;
        int (*function)(FILE *);
    } tell = {dlsym(RTLD_DEFAULT, "_PyObject_DebugMallocStats")};
    char *text = NULL;
    size_t size = 0;
    FILE *stream = tell.pointer ? open_memstream(&text, &size) : NULL;
    PyObject *told = NULL;

    (void)module;
    (void)unused;
    if (stream != NULL) {
        tell.function(stream);
        if (fclose(stream) == 0)
            told = PyBytes_FromStringAndSize(text, (Py_ssize_t)size);
        free(text);
    }
    return told || PyErr_Occurred() ? told : Py_NewRef(Py_None);
}

PyDoc_STRVAR(interpreters_doc, "interpreters() -> how many the process has, or 0 where that can't be told");

static PyObject *
interpreters(PyObject *module, PyObject *unused)
{
    union {
        void *pointer;
        PyInterpreterState *(*head)(void);
        PyInterpreterState *(*next)(PyInterpreterState *);
    } first = {dlsym(RTLD_DEFAULT, "PyInterpreterState_Head")}, next = {dlsym(RTLD_DEFAULT, "PyInterpreterState_Next")};
    PyInterpreterState *interpreter;
    long count = 0;

    (void)module;
    (void)unused;
    if (first.pointer != NULL && next.pointer != NULL)
        for (interpreter = first.head(); interpreter != NULL; interpreter = next.next(interpreter))
            count++;
    return PyLong_FromLong(count);
}

static PyMethodDef module_methods[] = {
    {"interpreters", interpreters, METH_NOARGS, interpreters_doc},
    {"known_names", known_names, METH_NOARGS, "known_names() -> KnownNames: nothing is known yet"},
    {"leave", leave, METH_O, leave_doc},
    {"malloc_figures", malloc_figures, METH_NOARGS, malloc_figures_doc},
    {"malloc_trim", malloc_trim, METH_NOARGS, malloc_trim_doc},
    {"python_memory", python_memory, METH_NOARGS, python_memory_doc},
    {"take", take, METH_VARARGS, take_doc},
    {"twin", twin, METH_VARARGS, twin_doc},
    {NULL, NULL, 0, NULL},
};

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    RowTypes *types = PyModule_GetState(module);

    Py_VISIT(types->rows);
    Py_VISIT(types->column);
    Py_VISIT(types->names);
    return 0;
}

static int
module_clear(PyObject *module)
{
    RowTypes *types = PyModule_GetState(module);

    Py_CLEAR(types->rows);
    Py_CLEAR(types->column);
    Py_CLEAR(types->names);
    return 0;
}

static void
module_free(void *module)
{
    module_clear(module);
}

/* All state is the module's: loaded again, under another name or in a sub-interpreter that shares the GIL, it changes
   nothing of what the first one has. Interpreters with a GIL of their own refuse it. */
static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)rows_make_types},
    {Py_mod_exec, (void *)births_add},
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT, "_walk", "The C engine's hot walk; see the source.", sizeof(RowTypes), module_methods,
    module_slots, module_traverse, module_clear, module_free,
};

PyMODINIT_FUNC
PyInit__walk(void)
{
    return PyModuleDef_Init(&module_definition);
}
