/* What the kernels share: plain arrays in, plain arrays out, as buffers: offsets int64, targets int32.

   The GIL is released while they run, nothing recurses, and what does not fit is a ValueError before anything is
   written. */

#ifndef LEAKHUNT_KERNELS_H
#define LEAKHUNT_KERNELS_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

/* A graph of nodes 0..root: the references of node i are targets[offsets[i]] up to targets[offsets[i + 1]]. */
typedef struct {
    int32_t root;
    const int64_t *offsets;
    const int32_t *targets;
    int64_t edges;
} Graph;

/* Whether every reference stays in the graph. */
int graph_is_sound(const Graph *graph);

/* Contiguous memory of `items` things (-1: of any number) of `item_bytes` each, or a ValueError. */
int take_buffer(PyObject *object, Py_buffer *view, int flags, int64_t items, size_t item_bytes, const char *name);
void release(Py_buffer *views, int count);

PyObject *kernel_breadth_first(PyObject *module, PyObject *arguments);
PyObject *kernel_dominators(PyObject *module, PyObject *arguments);
PyObject *kernel_incoming(PyObject *module, PyObject *arguments);
PyObject *kernel_retained(PyObject *module, PyObject *arguments);

#endif
