/* After the walk, with the GIL released: numbers instead of addresses. */

#include "_walk_heap.h"

/* Widen the sizes to 64 bits, where one of them needs it. */
static int
widen_sizes(Walk *walk)
{
    Array wide = {0};
    size_t row, i;

    if (!array_reserve(&walk->budget, &wide, walk->rows * sizeof(uint64_t)))
        return 0;
    for (row = 0; row < walk->rows; row++)
        ARRAY_AT(&wide, uint64_t, row) = ARRAY_AT(&walk->size, uint32_t, row);
    for (i = 0; i < ARRAY_COUNT(&walk->huge, HugeSize); i++)
        ARRAY_AT(&wide, uint64_t, ARRAY_AT(&walk->huge, HugeSize, i).row) = ARRAY_AT(&walk->huge, HugeSize, i).size;
    wide.used = walk->rows * sizeof(uint64_t);
    array_free(&walk->budget, &walk->size);
    walk->size = wide;
    return 1;
}

int
number_rows(Walk *walk)
{
    size_t row, count;

    if (walk->is_numbered)
        return 1;
    count = addresses_number(&walk->seen);
    if (!array_reserve(&walk->budget, &walk->row_of, (count + 1) * sizeof(uint32_t)))
        return 0;
    walk->row_of.used = count * sizeof(uint32_t);
    memset(walk->row_of.data, 0xff, walk->row_of.used); /* GONE */
    for (row = 0; row < walk->rows; row++) {
        uint32_t number = addresses_find(&walk->seen, ARRAY_AT(&walk->address, uint64_t, row));
        if (number != NOT_NUMBERED)
            ARRAY_AT(&walk->row_of, uint32_t, number) = (uint32_t)row;
    }
    walk->is_numbered = 1;
    return 1;
}

uint32_t
row_at(const Walk *walk, uint64_t address)
{
    uint32_t number = addresses_find(&walk->seen, address);
    return number == NOT_NUMBERED ? GONE : ARRAY_AT(&walk->row_of, uint32_t, number);
}

/* Each address in `target` becomes the row it has; the array shrinks to half in its place. */
static void
resolve(Walk *walk)
{
    size_t i, count = ARRAY_COUNT(&walk->target, uint64_t);

    for (i = 0; i < count; i++) {
        uint32_t row = row_at(walk, ARRAY_AT(&walk->target, uint64_t, i));
        ARRAY_AT(&walk->target, uint32_t, i) = row;
    }
    walk->target.used = count * sizeof(uint32_t);
    addresses_free(&walk->budget, &walk->seen);
    array_free(&walk->budget, &walk->row_of);
}

uint64_t
first_reference(const Walk *walk, size_t row)
{
    uint64_t first = ARRAY_AT(&walk->bases, uint64_t, row / BASE_EVERY);
    size_t before;

    for (before = row / BASE_EVERY * BASE_EVERY; before < row; before++)
        first += ARRAY_AT(&walk->count, uint32_t, before);
    return first;
}

int
number_references(Walk *walk)
{
    if (!number_rows(walk))
        return 0;
    resolve(walk);
    return walk->huge.used == 0 || widen_sizes(walk);
}
