#ifndef LEAKHUNT_WALK_TWIN_H
#define LEAKHUNT_WALK_TWIN_H

#include <Python.h>

PyDoc_STRVAR(twin_doc,
"twin(setswitchinterval, interval, long_interval, seconds) -> pid, 0 in the twin\n\n"
"A copy of the process with this thread alone, unseen by waitpid and SIGCHLD, which lives for `seconds` at most and ends\n"
"by leave(). `interval` is the switch interval of the program, the other that of the twin. OSError when the system refuses.");
PyObject *twin(PyObject *module, PyObject *arguments);

PyDoc_STRVAR(leave_doc, "leave(status): end the twin at once; nothing of the program's exit runs");
PyObject *leave(PyObject *module, PyObject *status);

#endif
