"""The thread that takes snapshots: its beginning and end, around forks and at the exit."""

import os
import sys
from _thread import RLock, allocate_lock, get_native_id, start_new_thread
from time import monotonic, perf_counter, sleep, thread_time, time

from . import __builtins__, asked, births, forked, marks, masking, schema, write
from .engine import FRONTIER_MIN, Engine, GilYielder, Interrupted, version
from .governor import Governor
from .ledger import process_times

try:
    from _signal import SIG_BLOCK, SIG_SETMASK, SIGXFSZ, pthread_sigmask, sigpending, sigtimedwait, valid_signals
except ImportError:  # not every build has pthread_sigmask
    pthread_sigmask = None

EXIT_WAIT_SECONDS = 10.0
EXIT_GRAPH_SECONDS = 0.1  # who stops a service, or recycles a worker, waits for its end
EXIT_GRAPHS = 4  # … but where there are fewer graphs than a trend needs, the one at exit may take longer
ENDING = "ending"  # a file in the run folder while who waits outside was asked to end the program
BROKEN_OFF_MAX = (
    4  # graphs in a row that forks ended: the program forks faster than a graph is taken, so one fork waits
)
LOOK_SECONDS = 5.0
PROBLEMS_BYTES = 4096
# A process that ends sooner is not looked at: one snapshot can't be compared, and to a program that starts many short
# ones it would be most of what they cost.
SETTLING_SECONDS = 0.3


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


def texts(values):
    """The strings in a list, as they are and not as a class of the program's shows them."""
    values = list.__iter__(values) if issubclass(type(values), list) else ()
    return [str.__str__(value) for value in values if issubclass(type(value), str)]


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
        self.births = given.get("births", "auto")  # or "never", or for how many seconds tracemalloc may run
        self.births_seconds = 0.0 if self.births in ("auto", "never") else float(self.births)


class Sampler:
    """A native thread that writes snapshots of its process into a folder of its own below `run_folder`."""

    def __init__(self, package, run_folder, options):
        self._run_folder, self._options = run_folder, options
        self._engine = Engine(package, options.engine, options.values)
        self._pid = 0
        self._is_forked = False
        self._graph_seconds = 0.0  # wall time that the last graph took, with writing it
        self._births = self._request = None
        self._reset()

    def _reset(self):
        self._folder = None
        self._moves = False
        self._told = ""  # the last problem
        self._number = 0  # of the process folder, among those of this pid
        self._sequence = self._graphs = 0
        lived_seconds = process_times().get("process_seconds", 0.0)
        engine = self._engine
        self._governor = Governor(self._options, engine.pauses_per_deep, lived_seconds, engine.frontier_min)
        self._due = monotonic() + self._governor.first_wait()  # of the next snapshot
        self._footprint = {}
        self._listed = 0  # objects at the last look
        self._fork_refused = ""
        self._lost = 0
        self._stop, self._leaves, self._is_over = True, False, False
        self._broken_off, self._insists = (
            0,
            False,
        )  # graphs in a row that a fork ended; whether a fork waits for this one
        self._is_starting, self._is_alive, self._started = False, False, []
        self._finished = allocate_lock()
        self._wake = allocate_lock()
        self._turn = RLock()  # of the program's threads: one at a time ends the agent's thread, or starts it
        self._forks = 0  # under way: that many threads of the program are between the hooks
        self._tid = 0

    def move(self, run_folder):
        """Write into another run folder from the next snapshot on, since this one can't be written to any more.

        Returns the name of the process folder that goes on there, "" where there was none yet.
        """
        if self._told:  # where nobody could read it, perhaps
            marks.leave(run_folder, self._pid, self._told)
        self._run_folder, self._moves = run_folder, True
        return (self._folder or "").rpartition("/")[2]

    @property
    def follows_children(self):
        return self._options.children

    def start(self):
        """Start the thread; in a forked child begin anew, in a folder of the child's own."""
        if self._pid != os.getpid():
            self._is_forked = self._pid != 0
            self._pid = os.getpid()
            self.forget_births()
            self._reset()
        with self._turn:
            while not (self._is_over or self._is_starting):
                self._is_starting = True
                try:
                    self._start()
                finally:
                    self._is_starting = False
                if not self._stop or self._forks or self._leaves:  # else a fork in the middle of this ended it again
                    break

    def _start(self):
        self._stop = False
        if self._is_alive:  # the wait for its end was given up, and it goes on
            return
        self._finished, self._wake = allocate_lock(), allocate_lock()
        self._finished.acquire()
        self._wake.acquire()
        self._is_alive, self._started = True, []
        try:
            self._started.extend(map(start_new_thread, (self._run,), ((),)))  # both in one call into C
        except BaseException:
            self._stop, self._is_alive = True, False
            raise

    def pause(self, wait_seconds=EXIT_WAIT_SECONDS):
        """End the thread and wait until the system has let go of it; True when it is gone.

        Between any two lines a signal handler of the program may fork, and be here once more in the same thread.
        """
        with self._turn:
            if self._pid != os.getpid():
                return True
            if self._is_starting and not self._started:  # by a fork that this one is in the middle of
                return False
            self._stop = True
            try:
                self._wake.release()
            except RuntimeError:  # it was told already
                pass
            until = monotonic() + wait_seconds
            while self._is_alive:
                if not self._finished.acquire(True, max(0.0, until - monotonic())):
                    return False
                self._finished.release()
        for _ in range(4000):  # on a busy machine the system takes its time, and 3.12+ counts the thread until then
            if not write.is_there("/proc/self/task/%d" % self._tid):
                break
            sleep(0.0002)
        return True

    def before_fork(self):
        """End the thread; every thread that forks at the same time waits for that, and the last starts it again."""
        with self._turn:
            self._forks += 1
            self.pause()

    def after_fork(self):
        with self._turn:
            self._forks = max(0, self._forks - 1)  # 0 already: armed between another thread's two hooks
            if self._forks == 0:
                self.start()

    def leave(self):
        """End the thread for good: the agent goes out of the program."""
        self._leaves = True
        if not self.pause():
            return False
        self._end_births()
        return True

    def forget_births(self):
        """In a forked child: the hooks that it has from its parent go, and nothing is written."""
        births, self._births = self._births, None
        if births is not None:
            births.abandon()

    def last(self):
        """The last snapshot, taken in the calling thread when the program ends."""
        if self._pid != os.getpid() or not self.pause() or self._is_over:
            return
        self._is_over = True
        self._end_births()
        if self._sequence == 0 and self._governor.elapsed() < min(SETTLING_SECONDS, self._options.interval):
            self._note_early_end()
            return
        self._stop = False
        mask = hold_file_size_signal()
        try:
            self._take(self._options.deep != "never" and self._has_time_for_graph(), "exit")
        except BaseException as problem:  # of an audit hook, or a signal's handler: what it would end is ending
            self._note("the agent stopped: %s" % told(problem))
        finally:
            release_file_size_signal(mask)
            self._stop = True

    def _has_time_for_graph(self):
        """Whether somebody waits for the end of this process, and a graph would hold it up.

        It is known to be quick by the last one of this process, or of the one that it was forked from.
        """
        if self._options.deep == "every" or 0 < self._graph_seconds <= EXIT_GRAPH_SECONDS:
            return True
        if self._is_forked or write.is_there(self._run_folder + "/" + ENDING):
            return False
        return self._graphs < EXIT_GRAPHS

    def _run(self):
        try:
            self._tid = get_native_id()
            if pthread_sigmask is not None:
                pthread_sigmask(SIG_BLOCK, valid_signals())
            while not self._stop and not self._ends_by(self._due):
                deep, graph_refused = self._governor.choose()
                # The Python engine takes too long for a fork to wait.
                self._insists = deep and self._broken_off >= BROKEN_OFF_MAX and self._engine.native is not None
                self._take(deep, "interval", graph_refused)
                self._insists = False
                self._due = monotonic() + self._governor.wait()
            if self._leaves or not self._stop:
                self._end_births()
                self._engine.leave()
        except BaseException as problem:  # the program goes on whatever happens here
            self._is_over = True
            self._note("the agent stopped: %s" % told(problem))
            self._end_births()
        finally:
            self._is_alive = False
            self._finished.release()

    def _ends_by(self, moment):
        """Wait until then; True when the agent is to end: at once where this process says so, else soon."""
        while True:
            seconds = moment - monotonic()
            look_seconds = LOOK_SECONDS if self._births is None else self._births.tick_seconds
            if self._wake.acquire(True, max(0.0, min(seconds, look_seconds))) or self._asked_to_stop():
                return True
            self._look_after_births()
            if seconds <= look_seconds:
                return False

    def _look_after_births(self):
        """Obey a request for births (asked.py), and go on with one; what goes wrong ends it, and is told."""
        if self._folder is None or self._options.births == "never":
            return
        begun, memory = thread_time(), None
        try:
            request = self._request = asked.taken(self._folder) or self._request
            if request is not None or self._births is not None:
                memory = self._engine.memory()
            if request is not None:
                self._end_births()
                if self._listed >= FRONTIER_MIN:  # the search for what was asked for would stop the program for long
                    raise RuntimeError("%d objects are too many to be searched" % self._listed)
                self._births = births.Births(
                    request, self._engine, self._folder, self._governor.elapsed(), self._options.budget,
                    self._options.births_seconds, GilYielder(perf_counter(), self._is_stopping),
                )  # fmt: skip
                self._request = None
                self._engine.forget_own()
            elif self._births is not None:
                self._births.tick()
                if self._births.is_over:
                    self._births = None
                    self._engine.forget_own()
            else:
                return
        except Interrupted:  # the program forks or ends; what was asked for is begun again
            pass
        except Exception as problem:
            self._fail_births(problem)
        if memory is not None:
            self._account_own_growth(memory)
        self._governor.spent_seconds += thread_time() - begun

    def _end_births(self):
        """Disarm, and write what is known."""
        births, self._births = self._births, None
        if births is not None:
            try:
                births.end()
            except Exception as problem:
                self._fail_births(problem, births)
            self._engine.forget_own()

    def _fail_births(self, problem, failed=None):
        """Say why a request could not be obeyed, where that can be said."""
        request, self._request = self._request, None
        failed, self._births = failed or self._births, None
        try:
            if failed is not None:
                failed.abandon()
            number = failed.number if failed is not None else request.number if request is not None else 1
            births.write_failure(self._folder, number, told(problem))
        except Exception:  # a report goes without it
            pass

    def _asked_to_stop(self):
        """Whether somebody outside left a file named "stop" in the process folder (leakhunt detach)."""
        return self._folder is not None and write.is_there(self._folder + "/stop")

    def _take(self, deep, moment, graph_refused=""):
        """Take and write one snapshot; what can't be written is counted and told, never raised."""
        cpu_begun, pause_ms, self._listed = thread_time(), 0.0, 0
        memory = self._engine.memory()
        try:
            if self._moves:
                self._folder, self._moves = None, False
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
            path = "%s/%06d.leak" % (self._folder, self._sequence + 1)
            if deep and moment == "interval" and self._options.forks and self._may_fork(meta):
                self._governor.spent_seconds += forked.snapshot(self._engine, meta, path, self._is_stopping)
                self._sequence += 1
            else:
                pause_ms = self._take_here(deep, meta, path)
        except Interrupted:
            self._broken_off += deep
        except forked.Lost as problem:
            self._fork_refused = str(problem)
            self._lost += 1
        except Exception as problem:
            self._lost += 1
            self._note("%d snapshots lost: %s" % (self._lost, told(problem)))
        self._account_own_growth(memory)
        self._governor.took(deep, thread_time() - cpu_begun, pause_ms, self._listed)

    def _take_here(self, deep, meta, path):
        """Take a snapshot in this thread; returns its longest pause in ms, 0 where a census stands for a graph."""
        begun = monotonic()
        meta, strings, columns = self._engine.snapshot(deep, meta, self._is_stopping)
        self._listed = sum(columns["census.count"])
        self._sequence += 1
        write.write_whole(path, write.pieces(meta, strings, columns))
        if meta["kind"] == "deep":
            self._graphs += 1
            self._broken_off = 0
            self._graph_seconds = monotonic() - begun
        return meta["pause_ms"] if deep == (meta["kind"] == "deep") else 0.0

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

    def _account_own_growth(self, before):
        """Add to `agent_…` what the process grew by while a snapshot was taken: it is not the program's growth."""
        for key, value in self._engine.memory().items():
            name = "agent_" + key
            self._footprint[name] = self._footprint.get(name, 0) + value - before.get(key, value)

    def _is_stopping(self):
        return self._stop and not self._insists

    def _open_folder(self):
        """Make this process's folder: what it is, and a page kept free for telling of problems on a full disk."""
        self._make_folder(self._description())
        write.write_whole(self._folder + "/problems", [b" " * PROBLEMS_BYTES])

    def _note_early_end(self):
        """Say that this process was there, in a folder without snapshots."""
        try:
            self._make_folder(dict(self._description(), lived=round(self._governor.elapsed(), 3)))
        except BaseException:  # nobody misses it
            pass

    def _make_folder(self, description):
        for number in range(self._number, 1000):
            folder = "%s/pid-%d.%d" % (self._run_folder, self._pid, number)
            try:
                os.mkdir(folder, 0o700)
            except FileExistsError:
                continue
            break
        self._folder, self._number = folder, number
        write.write_whole(folder + "/process", [schema.lines(description)])

    def _description(self):
        arguments = texts(getattr(sys, "orig_argv", None)) or texts([sys.executable]) + texts(
            getattr(sys, "argv", None)
        )
        if not self._options.values:
            arguments = masking.masked(arguments)
        return {
            "pid": self._pid, "ppid": os.getppid(), "python": version(), "executable": "".join(texts([sys.executable])),
            "command": " ".join(arguments), "started": time() - self._governor.elapsed(),
            "engine": self._engine.name, "path": "\x1f".join(texts(sys.path)), "cwd": os.getcwd(),
        }  # fmt: skip

    def _note(self, text):
        """Leave a sentence in the page kept free for it, as works on a full disk, too; else as a mark (marks.py)."""
        earlier, self._told = self._told, text
        try:
            if self._folder is None:
                raise OSError
            descriptor = os.open(self._folder + "/problems", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(descriptor, text.encode("utf-8", "backslashreplace")[:PROBLEMS_BYTES].ljust(256))
            finally:
                os.close(descriptor)
        except BaseException:
            marks.leave(self._run_folder, self._pid, text, earlier)  # their number has no end otherwise


def hold_file_size_signal():
    """Let a file that grows beyond the process's limit be an error, as it is in the agent's thread, not its end."""
    if pthread_sigmask is None or SIGXFSZ in sigpending():
        return None
    return pthread_sigmask(SIG_BLOCK, [SIGXFSZ])


def release_file_size_signal(mask):
    """As before; `mask` is what `hold_file_size_signal` gave."""
    if mask is not None and SIGXFSZ not in mask:
        sigtimedwait([SIGXFSZ], 0)
        pthread_sigmask(SIG_SETMASK, mask)
