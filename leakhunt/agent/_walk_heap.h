/* One walk of the heap: what it takes, and its rows. */

#ifndef LEAKHUNT_WALK_HEAP_H
#define LEAKHUNT_WALK_HEAP_H

#include "_walk_addresses.h"
#include "_walk_kinds.h"

/* As in schema.py. */
#define NO_LENGTH UINT32_MAX
#define SATURATED UINT32_MAX
#define GONE UINT32_MAX
#define OBJECT_TRACKED 1
#define OBJECT_FINALIZED 2
#define OBJECT_OLD 4
#define CONTAINER_FLOOR 32

#define BASE_EVERY 64 /* rows per entry of the table of first references */

typedef struct {
    uint64_t row, size;
} HugeSize;

typedef struct {
    Budget budget;
    Rules rules;
    int deep;
    Addresses seen, hidden, known;
    Array kinds, kind_slots; /* Kind; index + 1 of a Kind by hash of its class */
    Array pending;           /* PyObject *: seen and not a row yet */
    Array held;              /* PyObject *: kept alive for labelling */
    Array address, type, size, length, refcount, flags, count, target;
    Array container_address, container_type, container_length;
    Array weak_source, weak_target;
    Array bases; /* uint64_t: first reference of every BASE_EVERY-th row */
    Array huge;  /* HugeSize: rows whose size takes more than 32 bits */
    Array row_of; /* uint32_t by number in `seen` */
    size_t rows;
    uint32_t last_kind; /* index in `kinds` of the last one asked for */
    size_t listed, younger[2]; /* length of the collector's list; how many of them are of generations 0 and 1 */
    size_t first_rows[2];      /* rows at which generations 1 and 2 begin: the list has 0, 1 and 2 in this order */
    int begun;                 /* the last generation of which a row may have been made */
    size_t tenth;              /* of the listed object whose row is made */
    Array spectrum;            /* uint64_t: TENTHS of each Kind */
    size_t tuple_bytes;
    int is_numbered;
    int is_sliced;             /* the GIL is given away now and then while the listed are counted */
    PyObject *yield_gil;       /* called between slices, borrowed; raises where the look is to be given up */
    int was_enabled;           /* the collector, before it was switched off for the walk */
    int is_given_up;           /* with an exception set */
    Array near_ones;           /* PyObject *: tracked objects near the roots, in a walk in slices */
    Array place;               /* uint32_t of each row: its place in the list; in a walk in slices */
    int is_frontier;           /* what is older than the line and holds nothing younger has no row, but near the roots */
    size_t old_end[3];         /* in each generation's part of the list: where the young begin */
    size_t bulk_items;         /* a container of so many is not followed to what is old */
    size_t left_out;           /* listed objects without a row */
    Addresses line_marks;      /* objects of the agent that it made at earlier looks */
    Addresses sought;          /* what old referrers are looked for: the young, and holders found at the last look */
    Array keys;                /* uint64_t: of the mapping whose row is made */
    Array holders;             /* uint64_t: far from the roots, and referring to what is sought */
    Array unlisted;            /* PyObject *: near the roots, and not in the list */
    Array places;              /* uint32_t: of what has a row in the list, in order */
} Walk;

Walk *walk_new(int deep, unsigned long long limit_bytes);
void walk_free(Walk *walk);

/* List and walk the heap under the GIL; `line_marks` are objects made at earlier looks, the oldest first: in a list of
   `frontier_min` objects or more those that are older have no rows, see _walk_frontier.h; one of `sliced_min` or more is
   counted in slices, see _walk_slices.h; `types` gets the classes met, in the order of `kinds`, and `held` is the list of
   objects kept for labelling. 0 with or without an exception when that is impossible. */
int walk_heap(Walk *walk, PyObject *hidden, PyObject *roots, PyObject *line_marks, unsigned long long frontier_min,
              unsigned long long sliced_min, PyObject *types, PyObject **held);

/* Afterwards; the first and the last need no GIL, and give 0 when there is no memory. `row_at` finds the row of an address,
   GONE for none, between them: once the references are rows themselves, no address can be found any more. */
int number_rows(Walk *walk);
uint32_t row_at(const Walk *walk, uint64_t address);
uint64_t first_reference(const Walk *walk, size_t row);
int number_references(Walk *walk);

#endif
