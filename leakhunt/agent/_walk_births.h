#ifndef LEAKHUNT_WALK_BIRTHS_H
#define LEAKHUNT_WALK_BIRTHS_H

#include <Python.h>

extern PyMethodDef births_methods[];

/* Add the functions of the hooks to the module; -1 with an exception. */
int births_add(PyObject *module);

#endif
