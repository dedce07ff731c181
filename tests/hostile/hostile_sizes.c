/* Classes whose `__sizeof__` lets the GIL go, raises, or gives text; `calls()` is how often any of them was asked. */
#include <Python.h>
#include <unistd.h>

typedef struct {
    PyObject_HEAD
    PyObject *held;
} Thing;

static long asked;

static PyObject *
slow_size(PyObject *self, PyObject *unused)
{
    asked++;
    Py_BEGIN_ALLOW_THREADS
    usleep(10000);
    Py_END_ALLOW_THREADS
    return PyLong_FromLong(100);
}

static PyObject *
bad_size(PyObject *self, PyObject *unused)
{
    asked++;
    PyErr_SetString(PyExc_RuntimeError, "no");
    return NULL;
}

static PyObject *
text_size(PyObject *self, PyObject *unused)
{
    asked++;
    return PyUnicode_FromString("big");
}

static int
traverse(PyObject *self, visitproc visit, void *arg)
{
#if PY_VERSION_HEX >= 0x03090000
    Py_VISIT(Py_TYPE(self));
#endif
    Py_VISIT(((Thing *)self)->held);
    return 0;
}

static int
clear(PyObject *self)
{
    Py_CLEAR(((Thing *)self)->held);
    return 0;
}

static void
dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

#define CLASS(name, size)                                                                          \
    static PyMethodDef name##_methods[] = {{"__sizeof__", size, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}}; \
    static PyType_Slot name##_slots[] = {{Py_tp_methods, name##_methods}, {Py_tp_traverse, traverse},        \
                                         {Py_tp_clear, clear}, {Py_tp_dealloc, dealloc}, {0, NULL}};          \
    static PyType_Spec name##_spec = {"hostile_sizes." #name, sizeof(Thing), 0,                               \
                                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, name##_slots};

CLASS(Frame, slow_size)
CLASS(BadSize, bad_size)
CLASS(TextSize, text_size)

static PyObject *
calls(PyObject *module, PyObject *unused)
{
    return PyLong_FromLong(asked);
}

static PyMethodDef functions[] = {{"calls", calls, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "hostile_sizes", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC
PyInit_hostile_sizes(void)
{
    PyObject *module = PyModule_Create(&definition);

    PyModule_AddObject(module, "Frame", PyType_FromSpec(&Frame_spec));
    PyModule_AddObject(module, "BadSize", PyType_FromSpec(&BadSize_spec));
    PyModule_AddObject(module, "TextSize", PyType_FromSpec(&TextSize_spec));
    return module;
}
