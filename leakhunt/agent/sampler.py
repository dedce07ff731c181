"""The thread that takes snapshots: its beginning and end, around forks and at the exit."""

import os
import sys
from _thread import allocate_lock, get_native_id, start_new_thread
from time import sleep, thread_time, time

from . import forked, schema, write
from .engine import Engine, Interrupted, version
from .governor import Governor
from .ledger import process_times

try:
    from _signal import SIG_BLOCK, pthread_sigmask, valid_signals
except ImportError:  # not every build has pthread_sigmask
    pthread_sigmask = None

EXIT_WAIT_SECONDS = 10.0
LOOK_SECONDS = 5.0
PROBLEMS_BYTES = 4096


def told(problem):
    """An exception in a few words: the system's for an OSError, else its class and where in the agent it came from."""
    if isinstance(problem, OSError):
        return problem.strerror or type(problem).__name__
    trace = problem.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "?").rpartition(".")[2]  # an attached agent's code knows no file
    place = "%s:%d" % (module, trace.tb_lineno)
    return "%s at %s (%s)" % (type(problem).__name__, place, problem)


class Options:
    """Settings as they come from outside: "interval=5,deep=auto,budget=0.01", each optional."""

    def __init__(self, text=""):
        given = dict(pair.partition("=")[::2] for pair in text.split(",") if "=" in pair)
        self.interval = max(0.01, float(given.get("interval", 5.0)))
        self.deep = given.get("deep", "auto")
        self.collect = given.get("collect", "never")
        self.budget = float(given.get("budget", 0.01))
        self.pause = float(given.get("pause", 2.0))
        self.children = given.get("children", "1") != "0"
        self.forks = given.get("fork", "0") != "0"
        self.engine = given.get("engine", "auto")
        self.values = given.get("values", "0") != "0"


class Sampler:
    """A native thread that writes snapshots of its process into a folder of its own below `run_folder`."""

    def __init__(self, package, run_folder, options):
        self._run_folder, self._options = run_folder, options
        self._engine = Engine(package, options.engine, options.values)
        self._pid = 0
        self._reset()

    def _reset(self):
        self._folder = None
        self._sequence = 0
        self._governor = Governor(
            self._options, self._engine.pauses_per_deep, process_times().get("process_seconds", 0.0)
        )
        self._footprint = {}
        self._fork_refused = ""
        self._lost = 0
        self._stop = self._leaves = False
        self._finished = allocate_lock()
        self._wake = allocate_lock()
        self._tid = 0

    @property
    def follows_children(self):
        return self._options.children

    def start(self):
        """Start the thread; in a forked child begin anew, in a folder of the child's own."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._reset()
        self._stop = False
        self._finished = allocate_lock()
        self._finished.acquire()
        self._wake = allocate_lock()
        self._wake.acquire()
        start_new_thread(self._run, ())

    def pause(self, wait_seconds=EXIT_WAIT_SECONDS):
        """End the thread and wait until the system has let go of it; True when it is gone."""
        if self._stop or self._pid != os.getpid():
            return True
        self._stop = True
        self._wake.release()
        if not self._finished.acquire(True, wait_seconds):
            return False
        for _ in range(4000):  # on a busy machine the system takes its time, and 3.12+ counts the thread until then
            if not os.path.exists("/proc/self/task/%d" % self._tid):
                break
            sleep(0.0002)
        return True

    def leave(self):
        """End the thread for good: the agent goes out of the program."""
        self._leaves = True
        return self.pause()

    def last(self):
        """The last snapshot, taken in the calling thread when the program ends."""
        if self._pid == os.getpid() and self.pause():
            self._stop = False
            self._take(self._options.deep != "never", "exit")
            self._stop = True

    def _run(self):
        try:
            self._tid = get_native_id()
            if pthread_sigmask is not None:
                pthread_sigmask(SIG_BLOCK, valid_signals())
            due = self._governor.first_wait()
            while not self._stop and not self._ends_within(due):
                deep, graph_refused = self._governor.choose()
                self._take(deep, "interval", graph_refused)
                due = self._governor.wait()
            if self._leaves or not self._stop:
                self._engine.leave()
        except Exception as problem:  # the program goes on whatever happens here
            self._note("the agent stopped: %s" % told(problem))
        finally:
            self._finished.release()

    def _ends_within(self, seconds):
        """Wait so long; True when the agent is to end, at once where this process says so, soon where another does."""
        while seconds > LOOK_SECONDS:
            if self._wake.acquire(True, LOOK_SECONDS) or self._asked_to_stop():
                return True
            seconds -= LOOK_SECONDS
        return self._wake.acquire(True, seconds) or self._asked_to_stop()

    def _asked_to_stop(self):
        """Whether somebody outside left a file named "stop" in the process folder (leakhunt detach)."""
        return self._folder is not None and os.path.exists(os.path.join(self._folder, "stop"))

    def _take(self, deep, moment, graph_refused=""):
        """Take and write one snapshot; what can't be written is counted and told, never raised."""
        cpu_begun, pause_ms = thread_time(), 0.0
        memory = self._engine.memory()
        try:
            if self._folder is None:
                self._open_folder()
            meta = self._meta(moment)
            if graph_refused:
                meta["graph_refused"] = graph_refused
            if deep:
                self._governor.tried_deep()
                if self._options.collect == "before-deep":
                    import gc

                    meta["collected"] = gc.collect()
            path = os.path.join(self._folder, "%06d.leak" % (self._sequence + 1))
            if deep and moment == "interval" and self._options.forks and self._may_fork(meta):
                self._governor.spent_seconds += forked.snapshot(self._engine, meta, path, self._is_stopping)
                self._sequence += 1
            else:
                pause_ms = self._take_here(deep, meta, path)
        except Interrupted:
            pass
        except forked.Lost as problem:
            self._fork_refused = str(problem)
            self._lost += 1
        except Exception as problem:
            self._lost += 1
            self._note("%d snapshots lost: %s" % (self._lost, told(problem)))
        self._own_up(memory)
        self._governor.took(deep, thread_time() - cpu_begun, pause_ms)

    def _take_here(self, deep, meta, path):
        """Take a snapshot in this thread; returns its longest pause in ms, 0 where a census stands for a graph."""
        meta, strings, columns = self._engine.snapshot(deep, meta, self._is_stopping)
        self._sequence += 1
        write.write_whole(path, write.pieces(meta, strings, columns))
        return meta["hold_ms"] if deep == (meta["kind"] == "deep") else 0.0

    def _may_fork(self, meta):
        """Whether a twin of the process may take this snapshot; `meta` is told why not."""
        why = self._fork_refused or forked.refusal(self._engine.native)
        if why:
            meta["fork_refused"] = why
        return not why

    def _meta(self, moment):
        meta = {
            "pid": self._pid, "sequence": self._sequence + 1, "moment": moment, "python": version(),
            "elapsed": round(self._governor.elapsed(), 4), "interval": self._options.interval, "lost": self._lost,
            "spent_seconds": round(self._governor.spent_seconds, 4),
            "waited_seconds": round(self._governor.waited_seconds, 4), "budget": self._options.budget,
            "pause_limit_seconds": self._options.pause,
        }  # fmt: skip
        meta.update(self._footprint)
        return meta

    def _own_up(self, before):
        """Add to `agent_…` what the process grew by while a snapshot was taken: it is not the program's growth."""
        for key, value in self._engine.memory().items():
            name = "agent_" + key
            self._footprint[name] = self._footprint.get(name, 0) + value - before.get(key, value)

    def _is_stopping(self):
        return self._stop

    def _open_folder(self):
        """Make this process's folder: what it is, and a page kept free for telling of problems on a full disk."""
        for number in range(1000):
            folder = os.path.join(self._run_folder, "pid-%d.%d" % (self._pid, number))
            try:
                os.mkdir(folder, 0o700)
            except FileExistsError:
                continue
            break
        self._folder = folder
        lines = "".join("%s\t%s\n" % (key, schema.escape(str(value))) for key, value in self._description().items())
        write.write_whole(os.path.join(folder, "process"), [lines.encode("utf-8", "backslashreplace")])
        write.write_whole(os.path.join(folder, "problems"), [b" " * PROBLEMS_BYTES])

    def _description(self):
        arguments = getattr(sys, "orig_argv", None) or [sys.executable, *getattr(sys, "argv", [])]
        return {
            "pid": self._pid, "ppid": os.getppid(), "python": version(), "executable": sys.executable,
            "command": " ".join(arguments), "started": time() - self._governor.elapsed(),
            "engine": self._engine.name, "path": "\x1f".join(map(str, sys.path)), "cwd": os.getcwd(),
        }  # fmt: skip

    def _note(self, text):
        """Leave a sentence in the page kept free for it; on a full disk this still works."""
        if self._folder is None:
            return
        try:
            descriptor = os.open(os.path.join(self._folder, "problems"), os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(descriptor, text.encode("utf-8", "backslashreplace")[:PROBLEMS_BYTES].ljust(256))
            finally:
                os.close(descriptor)
        except OSError:
            pass
