/* A twin of the process that walks the heap while the program goes on.

   The system's bare clone, not fork(): no at-fork handler of the program runs, in C or in Python, and with 0 for its exit
   signal the twin is no child that SIGCHLD tells of or that waitpid(-1) finds. It has this thread only, all signals
   blocked as this thread has them, and none of the program's descriptors. What another thread held locked at that
   moment stays locked in the twin for ever; an alarm ends a twin that waits for it. */

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <Python.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "_walk_twin.h"

#ifndef SYS_close_range
#define SYS_close_range 436 /* Linux 5.9; the same on all architectures but alpha */
#endif
#define NOT_CLOSED 3 /* exit status: the descriptors could not be let go */

static void
become_twin(unsigned int seconds)
{
    sigset_t alarm_only;

    PyGC_Disable(); /* a finalizer of the program would run twice */
    if (syscall(SYS_close_range, 0U, UINT_MAX, 0U) != 0)
        syscall(SYS_exit_group, NOT_CLOSED);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGALRM, SIG_DFL);
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
    alarm(seconds);
}

static int
call(PyObject *function, PyObject *argument)
{
    PyObject *done = PyObject_CallFunctionObjArgs(function, argument, NULL);

    Py_XDECREF(done);
    return done != NULL;
}

/* Who waits for the GIL asks for it when the switch interval is over, and the twin, in which nobody waits, could never
   answer. So the GIL is given away once, which takes back such a request, and the interval is long while the clone is
   made. It is short again before the program can see it, and before this thread could wait that long itself. */
PyObject *
twin(PyObject *module, PyObject *arguments)
{
    PyObject *set_interval, *interval, *long_interval;
    unsigned int seconds;
    int error;
    long pid;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOOI", &set_interval, &interval, &long_interval, &seconds))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    Py_END_ALLOW_THREADS
    if (!call(set_interval, long_interval))
        return NULL;
    pid = syscall(SYS_clone, 0UL, NULL, NULL, NULL, 0UL);
    error = errno;
    if (pid == 0)
        become_twin(seconds);
    else if (!call(set_interval, interval))
        return NULL;
    errno = error;
    return pid < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromLong(pid);
}

PyObject *
leave(PyObject *module, PyObject *status)
{
    long number = PyLong_AsLong(status);

    (void)module;
    syscall(SYS_exit_group, (int)number);
    Py_UNREACHABLE();
}
