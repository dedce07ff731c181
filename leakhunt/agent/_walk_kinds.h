/* What the walk knows of one class: learnt once, without running code of the class. */

#ifndef LEAKHUNT_WALK_KINDS_H
#define LEAKHUNT_WALK_KINDS_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#define PY_SSIZE_T_CLEAN
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mremap, RTLD_DEFAULT */
#endif
#include <Python.h>
#include <stdint.h>

typedef enum { SIZE_FIXED, SIZE_OF_TUPLE, SIZE_BY_C, SIZE_ASKED, SIZE_UNKNOWN } SizeRule;
typedef enum { NO_ITEMS, DICT_ITEMS, LIST_ITEMS, TUPLE_ITEMS, SET_ITEMS, ITEMS_ASKED } LengthRule;

#define TENTHS 10 /* as in schema.py */

/* What the walk knows of one class. */
typedef struct {
    PyTypeObject *type;
    traverseproc traverse;
    inquiry is_gc; /* NULL: every instance is */
    SizeRule size_rule;
    LengthRule length_rule;
    PyCFunction sizeof_; /* SIZE_BY_C */
    int64_t size_bytes;  /* of every instance, or what comes on top of `sizeof_` */
    PyObject *length, *item_size; /* ITEMS_ASKED, borrowed from the rules */
    PyObject *base_of;            /* gives the owner of a view's memory; NULL for none, borrowed from the rules */
    uint32_t held, held_max;
    int is_mapping, is_plain_dict, is_weak;
    uint64_t count, young, bytes;
    uint64_t tenths[TENTHS]; /* how many stand in each tenth of the collector's list, oldest first */
} Kind;

/* What Python tells once per walk; borrowed. */
typedef struct {
    PyObject *get_objects, *getsizeof, *mro_of, *namespace_of, *itemsize_of, *weak_type, *referent_of;
    PyObject *known_sizes;         /* tuple of the entries `__sizeof__` that may be called, object's first */
    PyObject *without_size;        /* set of addresses of classes in whose namespace there is none, and all keys are strings */
    PyObject *lengths;             /* list of (class, length callable, item size callable or None) */
    PyObject *bases;               /* list of (class, callable that gives the owner of an instance's memory) */
    PyObject *named;               /* tuple of classes whose instances are all kept for labelling */
    PyObject *sizeof_name;
} Rules;

/* Learn what there is to know of the class of `sample`; `deep`: also how many instances are kept for labelling. */
Kind kind_of_class(const Rules *rules, PyTypeObject *type, PyObject *sample, int deep);

/* A Python integer as a number, -1 where there is none; takes the reference. */
int64_t number_from(PyObject *number);
int64_t number_of(PyObject *function, PyObject *argument);

#endif
