/* Who makes the objects of a few classes, and who puts something into a few containers: stacks, while armed.

   Four hooks, each in one place and without cost elsewhere:

   - births of a class made at run time: its tp_alloc, which no Python code can see. The interpreter's quick way of making
     instances passes it by, so the class is told to be modified, and the quick way is given up where tp_alloc is not the
     usual one. Subclasses have a tp_alloc of their own. One that copied ours while it was there finds the usual one in it.
   - births of any class: PyRefTracer_SetTracer (3.13+), if nobody has it.
   - additions to a dict: PyDict_Watch (3.12+).
   - additions to any other container: its length before and after, asked at every line of functions that may add to it
     (sys.monitoring, 3.12+; births.py says which).

   A hook runs no Python code, takes no lock, raises nothing and lets nothing wait. It writes into a ring of its own
   outside the program's allocator. What it needs frames for makes frame objects, as sys._getframe() does: the
   collector does not list them, and they go with the hook. All state is the process's, under the GIL of the main
   interpreter: in any other, the hooks do nothing. */

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <Python.h>
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "_walk_births.h"

#define DEPTH 48      /* frames of a stack, the innermost */
#define RING 256      /* records between two calls of births_take() */
#define TYPES_MAX 16
#define CONTAINERS_MAX 64
#define AT_ONCE 12        /* records of one class or container between two calls of births_take() */
#define TRACED_SECONDS 1.2e-8 /* what the tracer costs at each birth and death in the process … */
#define BORN_SECONDS 1.2e-7   /* … and a hook at each birth of its class */
#define RECENT 512        /* births of which the innermost frame is kept for a moment, should they be put in */
#define NAMESPACE_MAX 32  /* entries of a dict that may be the attributes of an object */
#define EVENTS_MAX 20000  /* of monitoring between two calls of births_take(): 2 to 3 ms */

/* Of PyTypeObject, which has kept its order up to tp_finalize since 3.8; checked against PyType_GetSlot at run time. */
#define TP_ALLOC_OFFSET (38 * sizeof(void *))

enum { BIRTH = 0, ADDITION = 1 };
enum { BY_ALLOC = 1, BY_TRACER = 2 };
enum { A_LIST = 0, A_DICT = 1, A_SET = 2, A_SIZED = 3, AN_OBJECT = 4 };
enum { DICT_ADDED = 0, DICT_CLONED = 3, DICT_DEALLOCATED = 5 };
enum { TRACED_CREATE = 0 };

typedef struct {
    PyObject *code;
    int lasti;
} Spot;

typedef struct {
    int kind, depth, line; /* `line` of the first spot, 0 where its lasti tells it */
    uint64_t of, object, key, generator, thread;
    double seconds;
    Spot spots[DEPTH];
} Record;

typedef struct {
    PyTypeObject *type; /* owned while armed */
    int way;
    uint64_t births;              /* all of them, recorded or not */
    uint32_t stride, wait, taken; /* one in `stride` is recorded; since the last births_take() */
    uint64_t births_then;
    double rest; /* seconds to be earned before its hook is there again; 0 while it is */
} Class;

typedef struct {
    PyObject *container; /* owned, but for a watched dict, which tells when it goes */
    int kind, is_watched;
    uint32_t taken; /* since the last births_take() */
    Py_ssize_t length;
} Container;

typedef struct {
    PyObject *object; /* compared only */
    PyObject *code;   /* owned */
    int lasti;
} Recent;

static struct {
    int is_armed, is_busy;
    PyInterpreterState *interpreter;
    Class classes[TYPES_MAX];
    int n_classes;
    Container containers[CONTAINERS_MAX];
    int n_containers;
    int watcher; /* -1 for none */
    int has_tracer;
    uint64_t traced; /* births and deaths since the last births_take() */
    double tracer_rest;
    Record *ring;
    int used;
    Recent recent[RECENT];
    unsigned int next_recent;
    uint64_t events, events_then, lost;
    unsigned long agent; /* the thread that calls births_take(): what it makes is the agent's, where it has one */
    int has_agent;
    PyObject *disable;   /* owned: what tells monitoring to be quiet at a place in the code */
    double spent, allowed; /* seconds in the hooks, and what they may take by now */
    unsigned long last_thread;
    PyObject *last_code; /* owned; where the program was at the last event of monitoring */
    int last_line, last_lasti;
} state = {.watcher = -1};

typedef int (*DictCallback)(int event, PyObject *dict, PyObject *key, PyObject *value);
typedef int (*Tracer)(PyObject *object, int event, void *data);

/* What the limited API has not, found in the interpreter at run time. */
static struct {
    PyFrameObject *(*frame)(PyThreadState *);
    PyFrameObject *(*back)(PyFrameObject *);
    int (*lasti)(PyFrameObject *);
    PyObject *(*generator)(PyFrameObject *);
    int (*line)(PyObject *, int);
    int (*add_watcher)(DictCallback);
    int (*clear_watcher)(int);
    int (*watch)(int, PyObject *);
    int (*unwatch)(int, PyObject *);
    int (*set_tracer)(Tracer, void *);
    Tracer (*get_tracer)(void **);
} api;

static void
find_api(void)
{
    static const char *names[] = {
        "PyThreadState_GetFrame", "PyFrame_GetBack", "PyFrame_GetLasti", "PyFrame_GetGenerator", "PyCode_Addr2Line",
        "PyDict_AddWatcher", "PyDict_ClearWatcher", "PyDict_Watch", "PyDict_Unwatch", "PyRefTracer_SetTracer",
        "PyRefTracer_GetTracer",
    };
    void **slots = (void **)&api;
    size_t i;

    for (i = 0; i < sizeof names / sizeof *names; i++)
        slots[i] = dlsym(RTLD_DEFAULT, names[i]);
}

static double
now(void)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (double)moment.tv_sec + 1e-9 * (double)moment.tv_nsec;
}

static int
is_ours(void)
{
    return state.is_armed && !state.is_busy && PyInterpreterState_Get() == state.interpreter &&
           !(state.has_agent && PyThread_get_thread_ident() == state.agent);
}

/* The stack of the calling thread into `record`; the frames of a coroutine end with the one that a task runs, which is
   told by its generator. */
static void
take_stack(Record *record)
{
    PyFrameObject *frame = api.frame(PyThreadState_Get()), *back;

    record->depth = 0;
    record->generator = 0;
    while (frame != NULL) {
        if (record->depth < DEPTH) {
            Spot *spot = &record->spots[record->depth++];
            PyObject *generator = api.generator != NULL ? api.generator(frame) : NULL;
            spot->code = (PyObject *)PyFrame_GetCode(frame);
            spot->lasti = api.lasti(frame);
            if (generator != NULL) {
                record->generator = (uint64_t)(uintptr_t)generator;
                Py_DECREF(generator);
            }
        }
        else
            break;
        back = api.back(frame);
        Py_DECREF(frame);
        frame = back;
    }
    Py_XDECREF(frame);
}

/* A free record with the caller's stack, NULL where there is no room or no time for one. The hook that asks is busy until
   `keep`. */
static Record *
begin_record(int kind, const void *of, const void *object, const void *key)
{
    Record *record;
    double begun;

    if (state.used == RING || state.spent > state.allowed) {
        state.lost++;
        return NULL;
    }
    begun = now();
    state.is_busy = 1;
    record = &state.ring[state.used];
    record->kind = kind;
    record->of = (uint64_t)(uintptr_t)of;
    record->object = (uint64_t)(uintptr_t)object;
    record->key = (uint64_t)(uintptr_t)key;
    record->thread = PyThread_get_thread_ident();
    record->seconds = begun;
    record->line = 0;
    take_stack(record);
    state.used++;
    state.is_busy = 0;
    state.spent += now() - begun;
    return record;
}

/* Keep the innermost frame of a birth that is not recorded. Should the object be put in soon, it is one of those meant. */
static void
note_recent(PyObject *object)
{
    Recent *one = &state.recent[state.next_recent++ % RECENT];
    PyObject *before = one->code;
    PyFrameObject *frame;
    double begun;

    if (state.spent > state.allowed)
        return;
    begun = now();
    state.is_busy = 1;
    frame = api.frame(PyThreadState_Get());
    one->object = object;
    one->code = frame != NULL ? (PyObject *)PyFrame_GetCode(frame) : NULL;
    one->lasti = frame != NULL ? api.lasti(frame) : 0;
    Py_XDECREF(frame);
    Py_XDECREF(before);
    state.is_busy = 0;
    state.spent += now() - begun;
}

static void
forget_recent(void)
{
    int i;

    for (i = 0; i < RECENT; i++) {
        state.recent[i].object = NULL;
        Py_CLEAR(state.recent[i].code);
    }
}

static void
born(Class *class, PyObject *object)
{
    class->births++;
    if (class->wait == 0 && class->taken < AT_ONCE && begin_record(BIRTH, class->type, object, NULL) != NULL) {
        class->taken++;
        class->wait = class->stride;
        return;
    }
    if (class->wait > 0)
        class->wait--;
    if (class->way != 0 && state.n_containers > 0)
        note_recent(object);
}

/* Record the birth of what is put in, where it was noted: by its innermost frame, the others being over. */
static void
was_born(PyObject *object)
{
    Record *record;
    unsigned int i;

    if (object == NULL || state.used == RING)
        return;
    for (i = 1; i <= RECENT; i++) { /* the newest first: others may have been at its address before */
        Recent *one = &state.recent[(state.next_recent - i) % RECENT];
        if (one->object != object || one->code == NULL)
            continue;
        record = &state.ring[state.used++];
        record->kind = BIRTH;
        record->of = (uint64_t)(uintptr_t)Py_TYPE(object);
        record->object = (uint64_t)(uintptr_t)object;
        record->key = record->generator = 0;
        record->thread = PyThread_get_thread_ident();
        record->seconds = now();
        record->line = 0;
        record->depth = 1;
        record->spots[0].code = one->code;
        record->spots[0].lasti = one->lasti;
        one->code = NULL;
        one->object = NULL;
        return;
    }
}

static PyObject *
alloc_and_tell(PyTypeObject *type, Py_ssize_t items)
{
    PyObject *made = PyType_GenericAlloc(type, items);
    int i;

    if (made != NULL && is_ours())
        for (i = 0; i < state.n_classes; i++)
            if (state.classes[i].type == type && state.classes[i].way == BY_ALLOC)
                born(&state.classes[i], made);
    return made;
}

static int
traced(PyObject *object, int event, void *data)
{
    PyTypeObject *type;
    int i;

    (void)data;
    state.traced++;
    if (event != TRACED_CREATE || object == NULL)
        return 0;
    type = Py_TYPE(object);
    for (i = 0; i < state.n_classes; i++)
        if (state.classes[i].type == type && state.classes[i].way == BY_TRACER) {
            if (is_ours())
                born(&state.classes[i], object);
            break;
        }
    return 0;
}

static int
dict_changed(int event, PyObject *dict, PyObject *key, PyObject *value)
{
    int i;

    if (!state.is_armed)
        return 0;
    for (i = 0; i < state.n_containers; i++)
        if (state.containers[i].container == dict && state.containers[i].is_watched) {
            if (event == DICT_DEALLOCATED)
                state.containers[i].container = NULL;
            else if ((event == DICT_ADDED || event == DICT_CLONED) && state.containers[i].taken < AT_ONCE && is_ours() &&
                     begin_record(ADDITION, dict, value, key) != NULL) {
                state.containers[i].taken++;
                was_born(value);
                was_born(key);
            }
            break;
        }
    return 0;
}

static int
add_up(PyObject *referent, void *sum)
{
    *(uintptr_t *)sum = *(uintptr_t *)sum * 31 + ((uintptr_t)referent >> 4);
    return 0;
}

static void
add_up_all(PyObject *object, visitproc visit, uintptr_t *sum)
{
    traverseproc traverse = (traverseproc)PyType_GetSlot(Py_TYPE(object), Py_tp_traverse);

    if (traverse != NULL)
        traverse(object, visit, sum);
}

static int
add_up_with_namespace(PyObject *referent, void *sum)
{
    if (PyDict_CheckExact(referent) && PyDict_Size(referent) <= NAMESPACE_MAX)
        add_up_all(referent, add_up, sum);
    return add_up(referent, sum);
}

/* Of an object that is no container: another number when it refers to others than before. As the collector asks. */
static Py_ssize_t
mark_of(PyObject *object)
{
    uintptr_t sum = 0;

    add_up_all(object, add_up_with_namespace, &sum);
    return (Py_ssize_t)sum;
}

static Py_ssize_t
length_of(const Container *one)
{
    switch (one->kind) {
    case A_LIST:
        return PyList_Size(one->container);
    case A_DICT:
        return PyDict_Size(one->container);
    case A_SET:
        return PySet_Size(one->container);
    case A_SIZED:
        return Py_SIZE(one->container);
    default:
        return mark_of(one->container);
    }
}

/* Which container grew since the last event; all lengths are those of now. NULL for none. */
static Container *
grown(void)
{
    Container *found = NULL;
    int i;

    for (i = 0; i < state.n_containers; i++) {
        Container *one = &state.containers[i];
        if (one->container != NULL && !one->is_watched) {
            Py_ssize_t length = length_of(one);
            if (length > one->length || (one->kind == AN_OBJECT && length != one->length))
                found = one;
            one->length = length;
        }
    }
    return found;
}

/* What was put in at `one` between the last event and this one, by where the program was at the last. */
static void
added(Container *one)
{
    PyObject *item = NULL;
    Record *record;
    int i;

    if (one->taken >= AT_ONCE)
        return;
    if (one->kind == A_LIST && one->length > 0)
        item = PyList_GetItem(one->container, one->length - 1);
    record = begin_record(ADDITION, one->container, item, NULL);
    if (record == NULL)
        return;
    one->taken++;
    was_born(item);
    for (i = 0; i < record->depth && i < 3; i++) /* the frame may have gone on to call one, or have left one */
        if (record->spots[i].code == state.last_code)
            break;
    if (i == record->depth || i == 3) { /* it has left: its caller is innermost now */
        if (record->depth == DEPTH)
            Py_DECREF(record->spots[--record->depth].code);
        memmove(record->spots + 1, record->spots, (size_t)record->depth * sizeof(Spot));
        record->spots[0].code = Py_NewRef(state.last_code);
        record->depth++;
        i = 0;
    }
    for (; i > 0; i--) {
        Py_DECREF(record->spots[0].code);
        memmove(record->spots, record->spots + 1, (size_t)(--record->depth) * sizeof(Spot));
    }
    record->spots[0].lasti = state.last_lasti;
    record->line = state.last_line;
}

static void
note_place(PyObject *code, int line, int lasti)
{
    PyObject *before = state.last_code;

    state.last_thread = PyThread_get_thread_ident();
    state.last_line = line;
    state.last_lasti = lasti;
    state.last_code = Py_XNewRef(code);
    Py_XDECREF(before);
}

/* What a callback of monitoring gives: events enough for now, and the place in the code is quiet until it is asked again. */
static PyObject *
heard(void)
{
    return Py_NewRef(state.disable != NULL && state.events - state.events_then > EVENTS_MAX ? state.disable : Py_None);
}

/* What every event of monitoring does first: whoever was at the last event, in the same thread, added what is more. */
static int
compare_lengths(void)
{
    Container *one;

    state.events++;
    if (!is_ours())
        return 0;
    one = grown();
    if (one != NULL && state.last_code != NULL && state.last_thread == PyThread_get_thread_ident())
        added(one);
    return 1;
}

static PyObject *
on_line(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    (void)module;
    if (count == 2 && compare_lengths())
        note_place(arguments[0], (int)PyLong_AsLong(arguments[1]), 0);
    return heard();
}

/* A function begins, or goes on: (code, offset). */
static PyObject *
on_start(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    (void)module;
    if (count >= 2 && compare_lengths())
        note_place(arguments[0], 0, (int)PyLong_AsLong(arguments[1]));
    return heard();
}

/* A function returns or yields: its caller goes on in the line in which it called. */
static PyObject *
on_leave(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    PyFrameObject *frame, *caller;

    (void)module;
    (void)arguments;
    if (count < 2 || !compare_lengths())
        return heard();
    state.is_busy = 1;
    frame = api.frame(PyThreadState_Get());
    caller = frame != NULL ? api.back(frame) : NULL;
    if (caller != NULL) {
        PyObject *code = (PyObject *)PyFrame_GetCode(caller);
        note_place(code, 0, api.lasti(caller));
        Py_DECREF(code);
    }
    else
        note_place(NULL, 0, 0);
    Py_XDECREF(caller);
    Py_XDECREF(frame);
    state.is_busy = 0;
    return heard();
}

static allocfunc *
alloc_slot(PyTypeObject *type)
{
    allocfunc *slot = (allocfunc *)((char *)type + TP_ALLOC_OFFSET);

    return (void *)*slot == PyType_GetSlot(type, Py_tp_alloc) ? slot : NULL;
}

static int
hook_alloc(PyTypeObject *type)
{
    allocfunc *slot;

    if (!(PyType_GetFlags(type) & Py_TPFLAGS_HEAPTYPE))
        return 0;
    slot = alloc_slot(type);
    if (slot == NULL || *slot != PyType_GenericAlloc)
        return 0;
    *slot = alloc_and_tell;
    PyType_Modified(type);
    return 1;
}

static void
unhook_alloc(PyTypeObject *type)
{
    allocfunc *slot = alloc_slot(type);

    if (slot != NULL && *slot == alloc_and_tell) {
        *slot = PyType_GenericAlloc;
        PyType_Modified(type);
    }
}

static const char *
hook_tracer(void)
{
    void *data;

    if (api.set_tracer == NULL || api.get_tracer == NULL)
        return "before Python 3.13 nothing tells of the births of a class made in C";
    if (state.has_tracer)
        return NULL;
    if (api.get_tracer(&data) != NULL)
        return "another tool has the interpreter's tracer of references";
    if (api.set_tracer(traced, NULL) != 0) {
        PyErr_Clear();
        return "the interpreter refused its tracer of references";
    }
    state.has_tracer = 1;
    return NULL;
}

static int
let_go_of_class(Class *class)
{
    int i;
    void *data;

    if (class->way == BY_ALLOC)
        unhook_alloc(class->type);
    class->way = 0;
    for (i = 0; i < state.n_classes; i++)
        if (state.classes[i].way == BY_TRACER)
            return 1;
    if (state.has_tracer && api.get_tracer(&data) == traced && api.set_tracer(NULL, NULL) != 0)
        PyErr_Clear();
    state.has_tracer = 0;
    return 1;
}

static void
let_go_of_container(Container *one)
{
    PyObject *container = one->container;

    one->container = NULL;
    if (container == NULL)
        return;
    if (!one->is_watched)
        Py_DECREF(container);
    else if (api.unwatch(state.watcher, container) != 0)
        PyErr_Clear();
}

static void
forget_records(void)
{
    while (state.used > 0) {
        Record *record = &state.ring[--state.used];
        while (record->depth > 0)
            Py_DECREF(record->spots[--record->depth].code);
    }
}

static PyObject *
births_disarm(PyObject *module, PyObject *unused)
{
    int i;

    (void)module;
    (void)unused;
    if (!state.is_armed)
        return Py_NewRef(Py_None);
    state.is_armed = 0;
    for (i = 0; i < state.n_containers; i++)
        let_go_of_container(&state.containers[i]);
    state.n_containers = 0;
    if (state.watcher >= 0 && api.clear_watcher(state.watcher) != 0)
        PyErr_Clear();
    state.watcher = -1;
    for (i = 0; i < state.n_classes; i++) {
        let_go_of_class(&state.classes[i]);
        Py_DECREF(state.classes[i].type);
    }
    state.n_classes = 0;
    forget_records();
    forget_recent();
    Py_CLEAR(state.last_code);
    Py_CLEAR(state.disable);
    if (state.ring != NULL)
        munmap(state.ring, RING * sizeof(Record));
    state.ring = NULL;
    return Py_NewRef(Py_None);
}

static PyObject *
births_arm(PyObject *module, PyObject *arguments)
{
    PyObject *disable;
    int by_caller;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "Op", &disable, &by_caller))
        return NULL;
    find_api();
    if (state.is_armed) {
        PyErr_SetString(PyExc_RuntimeError, "it is armed already");
        return NULL;
    }
    if (api.frame == NULL || api.back == NULL || api.lasti == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "this interpreter does not show its stacks");
        return NULL;
    }
    state.ring = mmap(NULL, RING * sizeof(Record), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (state.ring == MAP_FAILED) {
        state.ring = NULL;
        return PyErr_NoMemory();
    }
    state.used = 0;
    state.events = state.events_then = state.lost = 0;
    state.has_agent = !by_caller;
    state.agent = PyThread_get_thread_ident();
    state.disable = disable != Py_None ? Py_NewRef(disable) : NULL;
    state.spent = state.tracer_rest = 0.0;
    state.traced = 0;
    state.allowed = 0.02;
    state.n_classes = state.n_containers = 0;
    state.interpreter = PyInterpreterState_Get();
    state.is_busy = 0;
    state.is_armed = 1;
    return Py_NewRef(Py_None);
}

static PyObject *
births_of(PyObject *module, PyObject *type)
{
    const char *problem = NULL;
    Class *class;

    (void)module;
    if (!PyType_Check(type) || !state.is_armed || state.n_classes == TYPES_MAX)
        return PyUnicode_FromString("too many classes were asked for at once");
    class = &state.classes[state.n_classes];
    memset(class, 0, sizeof *class);
    class->type = (PyTypeObject *)type;
    class->way = BY_ALLOC;
    if (!hook_alloc(class->type)) {
        class->way = BY_TRACER;
        problem = hook_tracer();
        if (problem != NULL)
            return PyUnicode_FromString(problem);
    }
    Py_INCREF(type);
    state.n_classes++;
    return Py_NewRef(Py_None);
}

static PyObject *
additions_to(PyObject *module, PyObject *arguments)
{
    PyObject *container;
    Container *one;
    int kind;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "Oi", &container, &kind))
        return NULL;
    if (!state.is_armed || state.n_containers == CONTAINERS_MAX)
        return PyUnicode_FromString("too many containers were asked for at once");
    one = &state.containers[state.n_containers];
    memset(one, 0, sizeof *one);
    one->kind = kind;
    if (kind == A_DICT && api.watch != NULL && api.add_watcher != NULL) {
        if (state.watcher < 0)
            state.watcher = api.add_watcher(dict_changed);
        if (state.watcher < 0)
            PyErr_Clear(); /* all of them are taken: its length tells, too */
        else {
            one->container = container;
            one->is_watched = 1;
            if (api.watch(state.watcher, container) == 0) {
                state.n_containers++;
                return PyUnicode_FromString("watched");
            }
            PyErr_Clear();
            one->is_watched = 0;
        }
    }
    one->container = Py_NewRef(container);
    one->length = length_of(one);
    state.n_containers++;
    return PyUnicode_FromString("lengths");
}

/* Forget where the program was: what grew since then, others may have done. Containers that only we hold go. */
static PyObject *
births_settle(PyObject *module, PyObject *unused)
{
    int i;

    (void)module;
    (void)unused;
    if (!state.is_armed)
        return Py_NewRef(Py_None);
    for (i = 0; i < state.n_containers; i++)
        if (state.containers[i].container != NULL && !state.containers[i].is_watched &&
            Py_REFCNT(state.containers[i].container) == 1)
            Py_CLEAR(state.containers[i].container);
    grown();
    Py_CLEAR(state.last_code);
    return Py_NewRef(Py_None);
}

static PyObject *
births_enough(PyObject *module, PyObject *address)
{
    void *of = PyLong_AsVoidPtr(address);
    int i;

    (void)module;
    if (of == NULL && PyErr_Occurred())
        return NULL;
    for (i = 0; i < state.n_classes; i++)
        if ((void *)state.classes[i].type == of)
            let_go_of_class(&state.classes[i]);
    for (i = 0; i < state.n_containers; i++)
        if ((void *)state.containers[i].container == of)
            let_go_of_container(&state.containers[i]);
    return Py_NewRef(Py_None);
}

static PyObject *
told(Record *record)
{
    PyObject *spots = PyList_New(2 * (Py_ssize_t)record->depth), *number;
    int i;

    if (spots == NULL)
        return NULL;
    for (i = 0; i < record->depth; i++) {
        PyObject *code = record->spots[i].code;
        number = PyLong_FromLong(i == 0 && record->line > 0 ? record->line
                                 : api.line != NULL         ? api.line(code, record->spots[i].lasti)
                                                            : 0);
        if (number == NULL || PyList_SetItem(spots, 2 * i, Py_NewRef(code)) != 0 ||
            PyList_SetItem(spots, 2 * i + 1, number) != 0) {
            Py_DECREF(spots);
            return NULL;
        }
    }
    return Py_BuildValue("(iKKKKdKN)", record->kind, (unsigned long long)record->of, (unsigned long long)record->object,
                         (unsigned long long)record->key, (unsigned long long)record->generator, record->seconds,
                         (unsigned long long)record->thread, spots);
}

/* Let a hook rest for as long as it takes to earn what it cost, beyond what is allowed in the same time. */
static void
ration(double allowed)
{
    void *data;
    int i;

    for (i = 0; i < state.n_classes; i++) {
        Class *class = &state.classes[i];
        double cost = BORN_SECONDS * (double)(class->births - class->births_then);
        if (class->way != BY_ALLOC)
            continue;
        if (class->rest > 0.0) {
            class->rest -= allowed;
            if (class->rest <= 0.0 && !hook_alloc(class->type))
                class->way = 0;
        }
        else if (cost > allowed) {
            class->rest = cost - allowed;
            unhook_alloc(class->type);
        }
    }
    if (!state.has_tracer)
        return;
    if (state.tracer_rest > 0.0) {
        state.tracer_rest -= allowed;
        if (state.tracer_rest <= 0.0) {
            state.has_tracer = 0;
            hook_tracer();
        }
    }
    else if (api.get_tracer(&data) != traced)
        state.has_tracer = 0; /* another tool took it */
    else if (TRACED_SECONDS * (double)state.traced > allowed) {
        state.tracer_rest = TRACED_SECONDS * (double)state.traced - allowed;
        if (api.set_tracer(NULL, NULL) != 0)
            PyErr_Clear();
    }
    state.traced = 0;
}

static PyObject *
births_take(PyObject *module, PyObject *arguments)
{
    PyObject *records = PyList_New(0), *one;
    double allowed;
    int i, fine = records != NULL;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "d", &allowed)) {
        Py_XDECREF(records);
        return NULL;
    }
    state.is_busy = 1;
    for (i = 0; fine && i < state.used; i++) {
        one = told(&state.ring[i]);
        fine = one != NULL && PyList_Append(records, one) == 0;
        Py_XDECREF(one);
    }
    forget_records();
    state.is_busy = 0;
    if (state.is_armed)
        ration(allowed);
    for (i = 0; i < state.n_classes; i++) {
        Class *class = &state.classes[i];
        uint64_t since = class->births - class->births_then;
        class->births_then = class->births;
        class->taken = 0;
        class->stride = since > AT_ONCE ? (uint32_t)(since / AT_ONCE) : 0; /* spread over the time */
        class->wait = 0;
    }
    for (i = 0; i < state.n_containers; i++)
        state.containers[i].taken = 0;
    state.events_then = state.events;
    state.agent = PyThread_get_thread_ident();
    state.allowed = state.spent + allowed;
    if (!fine) {
        Py_XDECREF(records);
        return NULL;
    }
    return records;
}

static PyObject *
births_figures(PyObject *module, PyObject *unused)
{
    uint64_t births = 0;
    int i, is_whole = 1;

    (void)module;
    (void)unused;
    for (i = 0; i < state.n_classes; i++)
        births += state.classes[i].births;
    for (i = 0; i < state.n_classes; i++)
        is_whole &= state.classes[i].way != BY_TRACER || state.has_tracer;
    return Py_BuildValue("(KKKdi)", (unsigned long long)births, (unsigned long long)state.events,
                         (unsigned long long)state.lost, state.spent, is_whole);
}

PyMethodDef births_methods[] = {
    {"births_arm", births_arm, METH_VARARGS,
     "births_arm(disable, by_caller) -> None: begin, with nothing to look at; RuntimeError where that can't be. `disable`\n"
     "is sys.monitoring.DISABLE or None; unless `by_caller`, what the calling thread does is not looked at"},
    {"births_of", births_of, METH_O, "births_of(class) -> None, or why its births can't be seen"},
    {"additions_to", additions_to, METH_VARARGS,
     "additions_to(container, kind) -> \"watched\", \"lengths\" where on_line must be called, or why not; kind is 0 for a "
     "list, 1 a dict, 2 a set, 3 what has its length in ob_size, 4 anything else: then it is a change of what it refers to"},
    {"births_take", births_take, METH_VARARGS,
     "births_take(allowed_seconds) -> list of (kind, of, object, key, generator, seconds, thread, [code, line, ...])\n\n"
     "What was recorded since the last call; from now on the hooks may take `allowed_seconds` for more."},
    {"births_enough", births_enough, METH_O, "births_enough(address) -> None: look at this class or container no more"},
    {"births_settle", births_settle, METH_NOARGS, "births_settle() -> None: take the containers as they are now"},
    {"births_figures", births_figures, METH_NOARGS, "births_figures() -> (births, events, not recorded, seconds, whether all hooks are still ours)"},
    {"births_disarm", births_disarm, METH_NOARGS, "births_disarm() -> None: no hook is left"},
    {"on_line", (PyCFunction)(void (*)(void))on_line, METH_FASTCALL, "Of sys.monitoring: LINE"},
    {"on_start", (PyCFunction)(void (*)(void))on_start, METH_FASTCALL, "Of sys.monitoring: PY_START and PY_RESUME"},
    {"on_leave", (PyCFunction)(void (*)(void))on_leave, METH_FASTCALL, "Of sys.monitoring: PY_RETURN and PY_YIELD"},
    {NULL, NULL, 0, NULL},
};

int
births_add(PyObject *module)
{
    return PyModule_AddFunctions(module, births_methods);
}
