/* Dominators of a graph (Semi-NCA), and what each node retains. */

#include <stdlib.h>

#include "_kernels.h"

/* A depth-first tree; all but `order` and `number` by preorder number. */
typedef struct {
    int32_t size;
    int32_t *order;   /* node by number */
    int32_t *number;  /* number by node, -1 where the root does not reach it */
    int32_t *parent;
    int64_t *first;   /* predecessors of v: sources[first[v]] up to sources[first[v + 1]] */
    int32_t *sources;
    int32_t *semi, *label, *idom, *stack;
} Tree;

static void
tree_free(Tree *tree)
{
    free(tree->order);
    free(tree->number);
    free(tree->parent);
    free(tree->first);
    free(tree->sources);
    free(tree->semi);
    free(tree->label);
    free(tree->idom);
    free(tree->stack);
}

/* Number what the root reaches in depth-first preorder. */
static int
depth_first(const Graph *graph, Tree *tree)
{
    size_t nodes = (size_t)graph->root + 1;
    int64_t *next = malloc(nodes * sizeof(int64_t));
    int32_t depth = 0;
    size_t i;

    tree->order = malloc(nodes * sizeof(int32_t));
    tree->number = malloc(nodes * sizeof(int32_t));
    tree->parent = malloc(nodes * sizeof(int32_t));
    tree->stack = malloc(nodes * sizeof(int32_t));
    if (!next || !tree->order || !tree->number || !tree->parent || !tree->stack) {
        free(next);
        return 0;
    }
    for (i = 0; i < nodes; i++)
        tree->number[i] = -1;
    tree->order[0] = tree->stack[0] = graph->root;
    tree->number[graph->root] = 0;
    tree->parent[0] = 0;
    tree->size = 1;
    next[0] = graph->offsets[graph->root];
    while (depth >= 0) { /* `next` is by depth: the next reference of each node on the stack */
        int32_t node = tree->stack[depth];
        if (next[depth] == graph->offsets[node + 1]) {
            depth--;
            continue;
        }
        i = (size_t)graph->targets[next[depth]++];
        if (tree->number[i] < 0) {
            tree->number[i] = tree->size;
            tree->parent[tree->size] = tree->number[node];
            tree->order[tree->size++] = (int32_t)i;
            tree->stack[++depth] = (int32_t)i;
            next[depth] = graph->offsets[i];
        }
    }
    free(next);
    return 1;
}

/* The references between reached nodes, by their target. */
static int
turn_round(const Graph *graph, Tree *tree)
{
    int32_t v;
    int64_t e, total = 0;

    tree->first = calloc((size_t)tree->size + 2, sizeof(int64_t));
    if (!tree->first)
        return 0;
    for (v = 0; v < tree->size; v++) {
        int32_t node = tree->order[v];
        total += graph->offsets[node + 1] - graph->offsets[node];
        for (e = graph->offsets[node]; e < graph->offsets[node + 1]; e++)
            tree->first[tree->number[graph->targets[e]] + 2]++;
    }
    tree->sources = malloc((size_t)(total ? total : 1) * sizeof(int32_t));
    if (!tree->sources)
        return 0;
    for (v = 1; v < tree->size; v++)
        tree->first[v + 1] += tree->first[v];
    for (v = 0; v < tree->size; v++) { /* afterwards first[v + 1] has moved to the end of v: first[v] is its begin */
        int32_t node = tree->order[v];
        for (e = graph->offsets[node]; e < graph->offsets[node + 1]; e++)
            tree->sources[tree->first[tree->number[graph->targets[e]] + 1]++] = v;
    }
    return 1;
}

/* The node of lowest semidominator from v up to the forest's root below `linked`; paths are compressed. */
static int32_t
lowest(Tree *tree, int32_t v, int32_t linked)
{
    int32_t depth = 0, above;

    if (tree->parent[v] < linked)
        return tree->label[v];
    do {
        tree->stack[depth++] = v;
        v = tree->parent[v];
    } while (tree->parent[v] >= linked);
    while (depth > 0) {
        above = v;
        v = tree->stack[--depth];
        tree->parent[v] = tree->parent[above];
        if (tree->semi[tree->label[above]] < tree->semi[tree->label[v]])
            tree->label[v] = tree->label[above];
    }
    return tree->label[v];
}

/* Semi-NCA (Georgiadis 2005): semidominators bottom up, then each node's dominator top down. */
static int
semi_nca(Tree *tree)
{
    size_t bytes = (size_t)tree->size * sizeof(int32_t);
    int32_t v;
    int64_t e;

    tree->semi = malloc(bytes);
    tree->label = malloc(bytes);
    tree->idom = malloc(bytes);
    if (!tree->semi || !tree->label || !tree->idom)
        return 0;
    for (v = 0; v < tree->size; v++) {
        tree->semi[v] = tree->label[v] = v;
        tree->idom[v] = tree->parent[v];
    }
    for (v = tree->size - 1; v > 0; v--) {
        tree->semi[v] = tree->idom[v];
        for (e = tree->first[v]; e < tree->first[v + 1]; e++) {
            int32_t semi = tree->semi[lowest(tree, tree->sources[e], v + 1)];
            if (semi < tree->semi[v])
                tree->semi[v] = semi;
        }
    }
    for (v = 1; v < tree->size; v++) {
        int32_t above = tree->idom[v];
        while (above > tree->semi[v])
            above = tree->idom[above];
        tree->idom[v] = above;
    }
    return 1;
}

PyObject *
kernel_dominators(PyObject *module, PyObject *arguments)
{
    PyObject *objects[4];
    Py_buffer views[4];
    Graph graph;
    Tree tree = {0};
    int sound, fine = 0, taken = 0;
    int32_t v, *idom, *order;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "iOOOO", &graph.root, &objects[0], &objects[1], &objects[2], &objects[3]))
        return NULL;
    if (graph.root < 0)
        return PyErr_Format(PyExc_ValueError, "root %d", graph.root);
    if (!(take_buffer(objects[0], &views[0], 0, (int64_t)graph.root + 2, 8, "offsets") && ++taken &&
          take_buffer(objects[1], &views[1], 0, -1, 4, "targets") && ++taken &&
          take_buffer(objects[2], &views[2], PyBUF_WRITABLE, (int64_t)graph.root + 1, 4, "idom") && ++taken &&
          take_buffer(objects[3], &views[3], PyBUF_WRITABLE, (int64_t)graph.root + 1, 4, "order") && ++taken)) {
        release(views, taken);
        return NULL;
    }
    graph.offsets = views[0].buf;
    graph.targets = views[1].buf;
    graph.edges = views[1].len / 4;
    idom = views[2].buf;
    order = views[3].buf;
    Py_BEGIN_ALLOW_THREADS
    sound = graph_is_sound(&graph);
    if (sound)
        fine = depth_first(&graph, &tree) && turn_round(&graph, &tree) && semi_nca(&tree);
    if (fine) {
        for (v = 0; v <= graph.root; v++)
            idom[v] = -1;
        for (v = 0; v < tree.size; v++) {
            order[v] = tree.order[v];
            idom[tree.order[v]] = tree.order[tree.idom[v]];
        }
    }
    tree_free(&tree);
    Py_END_ALLOW_THREADS
    release(views, taken);
    if (!sound)
        return PyErr_Format(PyExc_ValueError, "a reference leaves the graph");
    return fine ? PyLong_FromLong(tree.size) : PyErr_NoMemory();
}

PyObject *
kernel_retained(PyObject *module, PyObject *arguments)
{
    PyObject *objects[3];
    Py_buffer views[3];
    int count, taken = 0, sound = 1;
    int64_t nodes, *sizes;
    const int32_t *order, *idom;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "iOOO", &count, &objects[0], &objects[1], &objects[2]))
        return NULL;
    if (!(take_buffer(objects[0], &views[0], 0, -1, 4, "order") && ++taken &&
          take_buffer(objects[1], &views[1], 0, views[0].len / 4, 4, "idom") && ++taken &&
          take_buffer(objects[2], &views[2], PyBUF_WRITABLE, views[0].len / 4, 8, "sizes") && ++taken)) {
        release(views, taken);
        return NULL;
    }
    order = views[0].buf;
    idom = views[1].buf;
    sizes = views[2].buf;
    nodes = views[0].len / 4;
    Py_BEGIN_ALLOW_THREADS
    while (sound && --count > 0) {
        sound = count < nodes && order[count] >= 0 && order[count] < nodes && idom[order[count]] >= 0 &&
                idom[order[count]] < nodes;
        if (sound)
            sizes[idom[order[count]]] += sizes[order[count]];
    }
    Py_END_ALLOW_THREADS
    release(views, taken);
    if (!sound)
        return PyErr_Format(PyExc_ValueError, "order or idom leaves the graph");
    return Py_NewRef(Py_None);
}
