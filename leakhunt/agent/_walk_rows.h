/* The walk's rows as a Python object. */

#ifndef LEAKHUNT_WALK_ROWS_H
#define LEAKHUNT_WALK_ROWS_H

#include "_walk_heap.h"

/* The module's state: its classes. */
typedef struct {
    PyTypeObject *rows, *column, *names;
} RowTypes;

typedef struct {
    PyObject_HEAD
    Walk *walk;
    PyObject *types, *held;
    PyTypeObject *column_type;
    double hold_seconds;
} Rows;

/* Rows of a walk that is about to begin, or NULL with an exception. */
Rows *rows_new(const RowTypes *row_types, int deep, unsigned long long limit_bytes);

/* Make the classes, and put them into the module, so that the agent knows them for its own; -1 with an exception. */
int rows_make_types(PyObject *module);

#endif
