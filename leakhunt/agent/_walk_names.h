/* What was named at the last graph, so that the next one names only what changed. */

#ifndef LEAKHUNT_WALK_NAMES_H
#define LEAKHUNT_WALK_NAMES_H

#include "_walk_rows.h"

/* Labels and names of one object, or of one namespace; `..._end` is where its part of an array of Names ends, which begins
   where the part of the entry before it ends. */
typedef struct {
    uint64_t address, print; /* fingerprint of what its names were read from, see print_of_object */
    uint64_t group;          /* id() of the code or the class that limits how many of its kind are named; 0 for none */
    uint32_t label_end, name_end, bound_end, space_end;
} NameEntry;

typedef struct {
    Array entries, slots;                                /* NameEntry; index + 1 by hash of the address */
    Array label_offset, label_name;                      /* uint32_t: reference within the row, string */
    Array name_address, name_text, name_file, name_line; /* uint64_t, uint32_t ... */
    Array bound_value;                                   /* uint64_t */
    Array spaces;                                        /* uint64_t: namespaces found by an object, as addresses */
} Names;

/* Two generations: what is looked up, and what is gathered for the next graph. `out` are columns of this one.

   `marks` are empty lists in the collector's list: what follows one of them there is younger. A collection keeps those in
   their place to which something outside of its list refers, as this object does, and moves others to the end that it
   comes to before it has come to what holds them: what is older can be taken for younger, but not the other way round. */
typedef struct {
    PyObject_HEAD
    PyTypeObject *rows_type;
    PyObject *qualname; /* "__qualname__", one string for all: the interpreter's cache would keep each that is new */
    Budget budget;
    Names last, next;
    Array marks; /* PyObject *, the oldest first */
    Array out_position, out_label, out_address, out_text, out_file, out_line, out_row, out_bound, out_group;
} KnownNames;

extern PyType_Spec known_names_spec;

/* known_names() -> KnownNames, empty */
PyObject *known_names(PyObject *module, PyObject *unused);

#endif
