"""The agent: runs inside the watched process. Standard library only, Python 3.8 syntax, relative imports.

It is a guest: it imports next to nothing, runs none of the program's own code, holds no descriptor between
snapshots, does not keep the process alive, and never raises into the program. Its format is schema.py.
"""

import os
import sys

# The builtins as they are now, for every function of the agent: a program may replace or remove some of them. A module
# of the agent has this for its own by `from . import __builtins__` before its functions are made.
__builtins__ = {
    name: value
    for name, value in sys.modules["builtins"].__dict__.items()
    if type(value) in (type, type(len), type(lambda: 0))
}

from . import marks
from .sampler import Options, Sampler

_sampler = None
_hooked = False


def arm(run_folder, options_text=""):
    """Start sampling this process into `run_folder`; True when this call started it.

    Idempotent: a second call while armed starts nothing and gives False. Raises ValueError for options that make
    no sense.
    """
    global _sampler
    if _sampler is not None:
        return False
    _sampler = Sampler(__name__, run_folder, Options(options_text))
    _hook()
    _sampler.start()
    return True


def disarm():
    """Stop sampling; hooks that can't be taken back do nothing from here on."""
    global _sampler
    sampler, _sampler = _sampler, None
    if sampler is not None:
        sampler.leave()


def obey(action, folder, options):
    """Do what is asked and say what came of it, as words with zero bytes between (attach/request.py).

    "arm": start sampling into `folder`; "disarm": stop, where `folder` is empty or the one that is written to; "move":
    go on in `folder` instead of the one that `options` names.
    """
    if action == "arm" and arm(folder, options):
        return "started"
    sampler = _sampler
    written = getattr(sampler, "_run_folder", "")
    if action == "arm":
        return "already\0" + written
    if action == "move":
        return "moved\0" + sampler.move(folder) if sampler is not None and options == written else "absent"
    if sampler is None or folder not in ("", written):
        return "absent"
    disarm()
    return "stopped\0" + written


def is_main_interpreter():
    """Whether this is the interpreter that the process began with.

    In no other a thread may be started: `Py_EndInterpreter` ends the process when it finds one.
    """
    try:
        from _thread import _is_main_interpreter

        return _is_main_interpreter()
    except ImportError:  # before 3.12
        pass
    import _signal

    try:
        _signal.signal(0, _signal.SIG_DFL)  # no signal has that number: nothing is changed
    except ValueError as why:
        if "range" in str(why):
            return True
    try:  # not the main thread: it had been refused before the number was looked at
        import _xxsubinterpreters
    except ImportError:
        return True
    return _xxsubinterpreters.get_current() == _xxsubinterpreters.get_main()


def _hook():
    """Follow forks, and take a last snapshot at a normal exit. Registered once; neither can be undone."""
    global _hooked
    if not _hooked:
        import atexit

        _hooked = True
        atexit.register(_at_exit)
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _at_exit():
    _guarded("last")


def _before_fork():
    """One thread less at the moment of the fork: nothing of ours is copied half-done, and 3.12+ need not warn."""
    _guarded("before_fork")


def _after_fork():
    _guarded("after_fork")


def _in_child():
    global _sampler
    if _sampler is not None:
        if _sampler.follows_children:
            _guarded("start")
        else:
            _guarded("forget_births")
            _sampler = None


def _guarded(name):
    """Call a method of the sampler; what goes wrong there is told in the run folder and nowhere else."""
    sampler = _sampler
    if sampler is not None:
        try:
            getattr(sampler, name)()
        except Exception as problem:
            marks.leave(sampler._run_folder, os.getpid(), "the agent stopped: %s" % problem)
