/* A set of object addresses, and the number of each: one bit per 8 bytes of heap.

   A hash table of all addresses would be missed in the cache at nearly every reference of the heap. This set takes
   1/64 of the heap it covers (a second 1/64 once numbered) and mostly stays in the cache. */

#ifndef LEAKHUNT_WALK_ADDRESSES_H
#define LEAKHUNT_WALK_ADDRESSES_H

#include "_walk_memory.h"

#define REGION_BITS 20 /* a region is 1 MiB, as pymalloc's arenas are */
#define REGION_WORDS ((size_t)1 << (REGION_BITS - 3 - 6))
#define MIDDLE_BITS 14
#define TOP_BITS 14 /* 48 bits in all: more than user space has unless it asks for more by hint */
#define NOT_NUMBERED UINT32_MAX

typedef struct {
    uint64_t bits[REGION_WORDS];
    uint32_t before[REGION_WORDS]; /* addresses in the set before this word, once numbered */
} Region;

typedef struct {
    Region **top[(size_t)1 << TOP_BITS];
    Array regions; /* Region *, in the order of their making */
    char *spare;   /* rest of the slab that regions are cut from */
    size_t spare_bytes;
    Array slabs; /* char * */
    Array middles; /* Region ** */
} Addresses;

#define MIDDLE_BYTES (sizeof(Region *) << MIDDLE_BITS)
#define SLAB_BYTES (sizeof(Region) * 32)

static inline Region *
region_new(Budget *budget, Addresses *set, uint64_t place)
{
    Region ***middle = &set->top[place >> MIDDLE_BITS];
    Region *region;

    if (*middle == NULL) {
        Region **fresh = pages_new(budget, MIDDLE_BYTES);
        if (fresh == NULL || !ARRAY_PUSH(budget, &set->middles, Region **, fresh))
            return NULL;
        *middle = fresh;
    }
    if (set->spare_bytes < sizeof(Region)) {
        char *slab = pages_new(budget, SLAB_BYTES);
        if (slab == NULL || !ARRAY_PUSH(budget, &set->slabs, char *, slab))
            return NULL;
        set->spare = slab;
        set->spare_bytes = SLAB_BYTES;
    }
    region = (Region *)set->spare;
    if (!ARRAY_PUSH(budget, &set->regions, Region *, region))
        return NULL;
    set->spare += sizeof(Region);
    set->spare_bytes -= sizeof(Region);
    return (*middle)[place & (((uint64_t)1 << MIDDLE_BITS) - 1)] = region;
}

static inline Region *
region_of(const Addresses *set, uint64_t address)
{
    uint64_t place = address >> REGION_BITS;
    Region **middle;

    if (place >> (TOP_BITS + MIDDLE_BITS))
        return NULL;
    middle = set->top[place >> MIDDLE_BITS];
    return middle ? middle[place & (((uint64_t)1 << MIDDLE_BITS) - 1)] : NULL;
}

static inline size_t
word_of(uint64_t address)
{
    return (address >> 9) & (REGION_WORDS - 1);
}

static inline uint64_t
bit_of(uint64_t address)
{
    return (uint64_t)1 << ((address >> 3) & 63);
}

static inline int
addresses_has(const Addresses *set, uint64_t address)
{
    Region *region = region_of(set, address);
    return region != NULL && (region->bits[word_of(address)] & bit_of(address)) != 0;
}

/* 1 when the address is new to the set; 0 when it is in it already, can't be in it, or there is no memory. */
static inline int
addresses_add(Budget *budget, Addresses *set, uint64_t address)
{
    Region *region = region_of(set, address);
    uint64_t *word, bit = bit_of(address);

    if (region == NULL) {
        if (address >> (REGION_BITS + MIDDLE_BITS + TOP_BITS))
            return 0;
        region = region_new(budget, set, address >> REGION_BITS);
        if (region == NULL)
            return 0;
    }
    word = &region->bits[word_of(address)];
    if (*word & bit)
        return 0;
    *word |= bit;
    return 1;
}

static inline void
addresses_remove(Addresses *set, uint64_t address)
{
    Region *region = region_of(set, address);
    if (region != NULL)
        region->bits[word_of(address)] &= ~bit_of(address);
}

/* Number the addresses 0, 1, … by region and place; returns how many there are. */
static inline uint32_t
addresses_number(Addresses *set)
{
    uint32_t count = 0;
    size_t regions = ARRAY_COUNT(&set->regions, Region *), r, word;

    for (r = 0; r < regions; r++) {
        Region *region = ARRAY_AT(&set->regions, Region *, r);
        for (word = 0; word < REGION_WORDS; word++) {
            region->before[word] = count;
            count += (uint32_t)__builtin_popcountll(region->bits[word]);
        }
    }
    return count;
}

/* The number of an address, after `addresses_number`; NOT_NUMBERED when it is not in the set. */
static inline uint32_t
addresses_find(const Addresses *set, uint64_t address)
{
    Region *region = region_of(set, address);
    uint64_t bits, bit = bit_of(address);

    if (region == NULL)
        return NOT_NUMBERED;
    bits = region->bits[word_of(address)];
    if (!(bits & bit))
        return NOT_NUMBERED;
    return region->before[word_of(address)] + (uint32_t)__builtin_popcountll(bits & (bit - 1));
}

static inline void
addresses_free(Budget *budget, Addresses *set)
{
    size_t i;

    for (i = 0; i < ARRAY_COUNT(&set->slabs, char *); i++)
        pages_free(budget, ARRAY_AT(&set->slabs, char *, i), SLAB_BYTES);
    for (i = 0; i < ARRAY_COUNT(&set->middles, Region **); i++)
        pages_free(budget, ARRAY_AT(&set->middles, Region **, i), MIDDLE_BYTES);
    array_free(budget, &set->regions);
    array_free(budget, &set->slabs);
    array_free(budget, &set->middles);
    memset(set, 0, sizeof(*set));
}

#endif
