"""The agent: runs inside the watched process. Standard library only, Python 3.8 syntax, relative imports.

It is a guest: it imports next to nothing, runs none of the program's own code, holds no descriptor between
snapshots, does not keep the process alive, and never raises into the program. Its format is schema.py.
"""

import os

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


def _hook():
    """Follow forks, and take a last snapshot at a normal exit. Registered once; neither can be undone."""
    global _hooked
    if not _hooked:
        import atexit

        _hooked = True
        atexit.register(_at_exit)
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _at_exit():
    if _sampler is not None:
        _sampler.last()


def _before_fork():
    """One thread less at the moment of the fork: nothing of ours is copied half-done, and 3.12+ need not warn."""
    if _sampler is not None:
        _sampler.pause()


def _after_fork():
    if _sampler is not None:
        _sampler.start()


def _in_child():
    global _sampler
    if _sampler is not None:
        if _sampler.follows_children:
            _sampler.start()
        else:
            _sampler = None
