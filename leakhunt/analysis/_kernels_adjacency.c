/* The references of a graph the other way round, and the shortest paths along them. */

#include <stdlib.h>

#include "_kernels.h"

PyObject *
kernel_incoming(PyObject *module, PyObject *arguments)
{
    PyObject *objects[3];
    Py_buffer views[3];
    int count, taken = 0, sound = 1;
    int64_t e, edges, *offsets;
    int32_t *found;
    const int32_t *targets;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "iOOO", &count, &objects[0], &objects[1], &objects[2]))
        return NULL;
    if (!(take_buffer(objects[0], &views[0], 0, -1, 4, "targets") && ++taken &&
          take_buffer(objects[1], &views[1], PyBUF_WRITABLE, (int64_t)count + 1, 8, "offsets") && ++taken &&
          take_buffer(objects[2], &views[2], PyBUF_WRITABLE, views[0].len / 4, 4, "edges") && ++taken)) {
        release(views, taken);
        return NULL;
    }
    targets = views[0].buf;
    offsets = views[1].buf;
    found = views[2].buf;
    edges = views[0].len / 4;
    Py_BEGIN_ALLOW_THREADS
    for (e = 0; e < edges && sound; e++)
        sound = targets[e] >= 0 && targets[e] < count;
    if (sound) {
        for (e = 0; e <= count; e++)
            offsets[e] = 0;
        for (e = 0; e < edges; e++)
            offsets[targets[e] + 1]++;
        for (e = 0; e < count; e++)
            offsets[e + 1] += offsets[e];
        for (e = 0; e < edges; e++) /* each begin moves to its end … */
            found[offsets[targets[e]]++] = (int32_t)e;
        for (e = count; e > 0; e--) /* … and back */
            offsets[e] = offsets[e - 1];
        offsets[0] = 0;
    }
    Py_END_ALLOW_THREADS
    release(views, taken);
    if (!sound)
        return PyErr_Format(PyExc_ValueError, "a reference leaves the graph");
    return Py_NewRef(Py_None);
}

/* Walk from `queue`'s first `reached` nodes on, whose parents are set; returns how many nodes there are in the end. */
static int32_t
walk(const Graph *graph, int32_t *queue, int32_t *parent, int32_t reached)
{
    int32_t next, node;
    int64_t e;

    for (next = 0; next < reached; next++) {
        node = queue[next];
        for (e = graph->offsets[node]; e < graph->offsets[node + 1]; e++)
            if (parent[graph->targets[e]] < 0) {
                parent[graph->targets[e]] = node;
                queue[reached++] = graph->targets[e];
            }
    }
    return reached;
}

/* The starts, each once and in their order, to the head of the queue; -1 when one leaves the graph. */
static int32_t
begin(const int32_t *starts, int64_t count, int32_t nodes, int32_t *queue, int32_t *parent)
{
    int32_t reached = 0;
    int64_t i;

    for (i = 0; i < count; i++) {
        if (starts[i] < 0 || starts[i] >= nodes)
            return -1;
        if (parent[starts[i]] < 0) {
            parent[starts[i]] = nodes;
            queue[reached++] = starts[i];
        }
    }
    return reached;
}

PyObject *
kernel_breadth_first(PyObject *module, PyObject *arguments)
{
    PyObject *objects[4];
    Py_buffer views[4];
    Graph graph;
    int count, taken = 0, has_room;
    int32_t i, reached = -1, *queue, *parent;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "iOOOO", &count, &objects[0], &objects[1], &objects[2], &objects[3]))
        return NULL;
    if (count < 1)
        return PyErr_Format(PyExc_ValueError, "count %d", count);
    if (!(take_buffer(objects[0], &views[0], 0, (int64_t)count + 1, 8, "offsets") && ++taken &&
          take_buffer(objects[1], &views[1], 0, -1, 4, "targets") && ++taken &&
          take_buffer(objects[2], &views[2], 0, -1, 4, "starts") && ++taken &&
          take_buffer(objects[3], &views[3], PyBUF_WRITABLE, count, 4, "parent") && ++taken)) {
        release(views, taken);
        return NULL;
    }
    graph.root = count - 1;
    graph.offsets = views[0].buf;
    graph.targets = views[1].buf;
    graph.edges = views[1].len / 4;
    parent = views[3].buf;
    Py_BEGIN_ALLOW_THREADS
    queue = malloc((size_t)count * sizeof(int32_t));
    has_room = queue != NULL;
    if (has_room && graph_is_sound(&graph)) {
        for (i = 0; i < count; i++)
            parent[i] = -1;
        reached = begin(views[2].buf, views[2].len / 4, count, queue, parent);
        if (reached >= 0)
            reached = walk(&graph, queue, parent, reached);
    }
    free(queue);
    Py_END_ALLOW_THREADS
    release(views, taken);
    if (!has_room)
        return PyErr_NoMemory();
    if (reached < 0)
        return PyErr_Format(PyExc_ValueError, "a reference or a start leaves the graph");
    return PyLong_FromLong(reached);
}
