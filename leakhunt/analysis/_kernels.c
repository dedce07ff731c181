/* What numpy and scipy cannot do fast: the module, and what its kernels share. */

#include "_kernels.h"

int
graph_is_sound(const Graph *graph)
{
    int64_t i;

    if (graph->offsets[0] != 0 || graph->offsets[graph->root + 1] != graph->edges)
        return 0;
    for (i = 0; i <= graph->root; i++)
        if (graph->offsets[i] > graph->offsets[i + 1])
            return 0;
    for (i = 0; i < graph->edges; i++)
        if (graph->targets[i] < 0 || graph->targets[i] > graph->root)
            return 0;
    return 1;
}

int
take_buffer(PyObject *object, Py_buffer *view, int flags, int64_t items, size_t item_bytes, const char *name)
{
    if (PyObject_GetBuffer(object, view, PyBUF_C_CONTIGUOUS | flags) < 0)
        return 0;
    if ((items >= 0 && view->len != items * (int64_t)item_bytes) || (size_t)view->itemsize != item_bytes) {
        PyErr_Format(PyExc_ValueError, "%s: %zd bytes of items of %zd", name, view->len, view->itemsize);
        PyBuffer_Release(view);
        return 0;
    }
    return 1;
}

void
release(Py_buffer *views, int count)
{
    while (count-- > 0)
        PyBuffer_Release(&views[count]);
}

PyDoc_STRVAR(dominators_doc,
"dominators(root, offsets, targets, idom, order) -> int\n\n"
"Fills idom int32[root+1] (the root for what only the roots as a group dominate, -1 for what is unreachable) and\n"
"order int32[root+1] (depth-first preorder); gives the number of reached nodes, the root included. offsets is\n"
"int64[root+2], targets int32. ValueError when a reference leaves the graph.");

PyDoc_STRVAR(retained_doc,
"retained(count, order, idom, sizes)\n\n"
"Adds sizes int64[root+1] up the dominator tree, in place; `count` and `order` are those of `dominators`.");

PyDoc_STRVAR(incoming_doc,
"incoming(count, targets, offsets, edges)\n\n"
"Fills edges int32[E] with the edges by their target, offsets int64[count+1] with where those of each begin: a stable\n"
"counting sort of targets int32[E]. ValueError when a target is none of 0..count-1.");

PyDoc_STRVAR(breadth_first_doc,
"breadth_first(count, offsets, targets, starts, parent) -> int\n\n"
"Fills parent int32[count] with each node's parent on a shortest path from the nodes starts int32[S], which are met in\n"
"their order: count for a start, -1 for what none of them reaches; gives the number of nodes reached. offsets is\n"
"int64[count+1], targets int32. ValueError when a reference or a start leaves the graph.");

static PyMethodDef methods[] = {
    {"breadth_first", kernel_breadth_first, METH_VARARGS, breadth_first_doc},
    {"dominators", kernel_dominators, METH_VARARGS, dominators_doc},
    {"retained", kernel_retained, METH_VARARGS, retained_doc},
    {"incoming", kernel_incoming, METH_VARARGS, incoming_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_kernels", "Graph algorithms over CSR arrays.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__kernels(void)
{
    return PyModule_Create(&definition);
}
