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
#define HUGE_BYTES ((size_t)1 << 21)

/* What one walk takes; `exceeded` is set by the first request that was refused and never cleared. */
typedef struct {
    size_t bytes, peak_bytes, limit_bytes;
    int exceeded;
} Budget;

typedef struct {
    char *data;
    size_t used, room; /* bytes */
} Array;

static inline int
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

/* Address space from a multiple of HUGE_BYTES on, so that the system can back it by huge pages: at one page fault per
   4 KiB, filling fresh memory costs more than the walk itself. */
static inline char *
aligned_space(size_t bytes)
{
    char *space = mmap(NULL, bytes + HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t before;

    if (space == MAP_FAILED)
        return NULL;
    before = (HUGE_BYTES - (uintptr_t)space % HUGE_BYTES) % HUGE_BYTES;
    if (before > 0)
        munmap(space, before);
    munmap(space + before + bytes, HUGE_BYTES - before);
    return space + before;
}

static inline void *
pages_new(Budget *budget, size_t bytes)
{
    char *space;

    if (!budget_take(budget, bytes))
        return NULL;
    space = bytes < HUGE_BYTES ? mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : aligned_space(bytes);
    if (space == NULL || space == MAP_FAILED || mprotect(space, bytes, PROT_READ | PROT_WRITE) != 0) {
        if (space != NULL && space != MAP_FAILED)
            munmap(space, bytes);
        budget->bytes -= bytes;
        budget->exceeded = 1;
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    if (bytes >= HUGE_BYTES)
        madvise(space, bytes, MADV_HUGEPAGE);
#endif
    return space;
}

static inline void
pages_free(Budget *budget, void *data, size_t bytes)
{
    if (data != NULL) {
        munmap(data, bytes);
        budget->bytes -= bytes;
    }
}

/* Move pages to a larger place: what is in them moves by page table, not by copying. */
static inline void *
pages_grow(Budget *budget, void *data, size_t bytes, size_t wanted)
{
    void *moved;

#ifdef MREMAP_FIXED
    char *space = aligned_space(wanted);
    if (space == NULL || !budget_take(budget, wanted - bytes)) {
        if (space != NULL)
            munmap(space, wanted);
        budget->exceeded = 1;
        return NULL;
    }
    moved = mremap(data, bytes, wanted, MREMAP_MAYMOVE | MREMAP_FIXED, space);
    if (moved == MAP_FAILED) {
        munmap(space, wanted);
        budget->bytes -= wanted - bytes;
        budget->exceeded = 1;
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    madvise(moved, wanted, MADV_HUGEPAGE);
#endif
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
static inline int
array_reserve(Budget *budget, Array *array, size_t more)
{
    size_t wanted = array->room ? array->room : ARRAY_FIRST_BYTES;
    void *data;

    if (more <= array->room - array->used)
        return 1;
    while (wanted - array->used < more)
        wanted *= 2;
    data = array->data ? pages_grow(budget, array->data, array->room, wanted) : pages_new(budget, wanted);
    if (data == NULL)
        return 0;
    array->data = data;
    array->room = wanted;
    return 1;
}

static inline void
array_free(Budget *budget, Array *array)
{
    pages_free(budget, array->data, array->room);
    memset(array, 0, sizeof(*array));
}

/* Push one value of an exact type; evaluates to 0 when there was no room. */
#define ARRAY_PUSH(budget, array, type, value)                                     \
    (((array)->room - (array)->used >= sizeof(type) || array_reserve(budget, array, sizeof(type))) \
         ? (*(type *)((array)->data + (array)->used) = (value), (array)->used += sizeof(type), 1) \
         : 0)
#define ARRAY_AT(array, type, index) (((type *)(array)->data)[index])
#define ARRAY_COUNT(array, type) ((array)->used / sizeof(type))

#endif
