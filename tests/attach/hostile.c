/* Loops that hold locks of the C library nearly all the time. */
#include <dlfcn.h>
#include <stdlib.h>

/* Sizes beyond the per-thread cache, so that the arena's lock is taken each time. */
void churn_malloc(int rounds) {
    void *slots[64] = {0};
    unsigned seed = 12345;
    for (int i = 0; i < rounds; i++) {
        seed = seed * 1103515245u + 12345u;
        int slot = seed >> 16 & 63;
        free(slots[slot]);
        slots[slot] = malloc(1100 + (seed >> 8) % 60000);
    }
    for (int slot = 0; slot < 64; slot++) free(slots[slot]);
}

void churn_dlopen(int rounds, const char *library) {
    for (int i = 0; i < rounds; i++) {
        void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        if (handle) dlclose(handle);
    }
}

int answer(void) { return 42; }
