/* Arrays that grow outside the program's allocator.

   Straight from the system and back to it: a large malloc()ed block would move glibc's mmap threshold, and the
   program's heap would not be the same after a snapshot. Nothing here needs the GIL. */

#ifndef LEAKHUNT_WALK_MEMORY_H
#define LEAKHUNT_WALK_MEMORY_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mremap */
#endif
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define ARRAY_FIRST_BYTES ((size_t)1 << 16)

/* What one walk takes; `exceeded` is set by the first request that was refused and never cleared. */
typedef struct {
    size_t bytes, peak_bytes, limit_bytes;
    int exceeded;
} Budget;

typedef struct {
    char *data;
    size_t used, room; /* bytes */
} Array;

static int
budget_take(Budget *budget, size_t bytes)
{
    if (budget->exceeded || bytes > budget->limit_bytes - budget->bytes) {
        budget->exceeded = 1;
        return 0;
    }
    budget->bytes += bytes;
    if (budget->bytes > budget->peak_bytes)
        budget->peak_bytes = budget->bytes;
    return 1;
}

static void *
pages_new(Budget *budget, size_t bytes)
{
    void *data;

    if (!budget_take(budget, bytes))
        return NULL;
    data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        budget->bytes -= bytes;
        budget->exceeded = 1;
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    madvise(data, bytes, MADV_HUGEPAGE); /* a page fault costs more than filling the page */
#endif
    return data;
}

static void
pages_free(Budget *budget, void *data, size_t bytes)
{
    if (data != NULL) {
        munmap(data, bytes);
        budget->bytes -= bytes;
    }
}

static void *
pages_grow(Budget *budget, void *data, size_t bytes, size_t wanted)
{
    void *moved;

#ifdef MREMAP_MAYMOVE
    if (!budget_take(budget, wanted - bytes))
        return NULL;
    moved = mremap(data, bytes, wanted, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) {
        budget->bytes -= wanted - bytes;
        budget->exceeded = 1;
        return NULL;
    }
#else
    moved = pages_new(budget, wanted);
    if (moved == NULL)
        return NULL;
    memcpy(moved, data, bytes);
    pages_free(budget, data, bytes);
#endif
    return moved;
}

/* Make room for `more` bytes; 0 when the budget is exceeded, and the array is as before then. */
static int
array_reserve(Budget *budget, Array *array, size_t more)
{
    size_t wanted = array->room ? array->room : ARRAY_FIRST_BYTES;
    void *data;

    if (more <= array->room - array->used)
        return 1;
    while (wanted - array->used < more)
        wanted += wanted / 2; /* by half: what is reserved and never used is counted too */
    wanted = (wanted + ARRAY_FIRST_BYTES - 1) / ARRAY_FIRST_BYTES * ARRAY_FIRST_BYTES;
    data = array->data ? pages_grow(budget, array->data, array->room, wanted) : pages_new(budget, wanted);
    if (data == NULL)
        return 0;
    array->data = data;
    array->room = wanted;
    return 1;
}

static void
array_free(Budget *budget, Array *array)
{
    pages_free(budget, array->data, array->room);
    memset(array, 0, sizeof(*array));
}

/* Push one value of an exact type; evaluates to 0 when there was no room. */
#define ARRAY_PUSH(budget, array, type, value)                                     \
    (array_reserve(budget, array, sizeof(type))                                    \
         ? (*(type *)((array)->data + (array)->used) = (value), (array)->used += sizeof(type), 1) \
         : 0)
#define ARRAY_AT(array, type, index) (((type *)(array)->data)[index])
#define ARRAY_COUNT(array, type) ((array)->used / sizeof(type))

#endif
