"""What the agent has to tell where it can open no file: marks in the run folder, empty files whose name says it.

A program's audit hook may refuse every `open`, and a process may have no descriptor left; `mknod` needs neither. Used
before anything else of the agent is there, too.
"""

from posix import mknod, rename
from stat import S_IFREG

from . import __builtins__

TEXT_MAX = 160


def leave(run_folder, pid, text, instead_of=""):
    """Leave a mark that says `text` of a process, in the place of an earlier one that says less; never raises."""
    path = "%s/pid-%d.mark." % (run_folder, pid)
    try:
        if instead_of:
            rename(path + name_of(instead_of), path + name_of(text))
            return
    except BaseException:  # there is none
        pass
    try:
        mknod(path + name_of(text), S_IFREG | 0o600)
    except BaseException:  # there already, or nothing at all can be told
        pass


def name_of(text):
    """`text` as part of a file's name."""
    return "".join([c if " " <= c <= "~" and c != "/" else " " for c in text[:TEXT_MAX]])
