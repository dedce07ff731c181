"""Runs in the target, once per request, as a file: claims the request, obeys it, answers, leaves no name behind.

Executed in a namespace of its own, in which the caller then calls `main`. Python 3.8 syntax; imports what every
interpreter has loaded anyway. Whoever renames the request first owns it: a second
thread that was asked as well finds none, and neither does one that comes after the caller gave up.
"""

import sys
from posix import O_CLOEXEC, O_CREAT, O_EXCL, O_RDONLY, O_WRONLY, close, open, read, rename, stat, write

PACKAGE = "_leakhunt_agent"
METHODS = (type(lambda: 0), property, staticmethod, classmethod)


def main(stage, agent_folder):
    """`stage` is the folder of the request, `agent_folder` that of the agent's files."""
    if is_agent_thread() or not is_main_interpreter():  # it can't end itself, and no thread of ours may run in a
        return  # sub-interpreter; another thread, or another way in, will do it
    try:
        rename(stage + "/request", stage + "/claimed")
    except OSError:
        return
    try:
        descriptor = open(stage + "/claimed", O_RDONLY | O_CLOEXEC)
        try:
            text = read(descriptor, 65536)
        finally:
            close(descriptor)
        action, folder, options = text.decode("utf-8", "surrogateescape").split("\0")
        result = obey(agent_folder, action, folder, options)
    except BaseException as error:  # a SystemExit would end the program
        result = "failed\0%s: %s" % (type(error).__name__, error)
    answer(stage, result)


def is_agent_thread():
    from _thread import get_native_id

    sampler = getattr(sys.modules.get(PACKAGE), "_sampler", None)
    return sampler is not None and sampler._tid == get_native_id()


def is_main_interpreter():
    """As the agent asks it (__init__.py), which is not loaded yet."""
    try:
        from _thread import _is_main_interpreter

        return _is_main_interpreter()
    except ImportError:  # before 3.12
        pass
    import _signal

    try:
        _signal.signal(0, _signal.SIG_DFL)
    except ValueError as why:
        if "range" in str(why):
            return True
    try:
        import _xxsubinterpreters
    except ImportError:
        return True
    return _xxsubinterpreters.get_current() == _xxsubinterpreters.get_main()


def answer(stage, text):
    descriptor = open(stage + "/answer.part", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    try:
        write(descriptor, text.encode("utf-8", "backslashreplace"))
    finally:
        close(descriptor)
    rename(stage + "/answer.part", stage + "/answer")


def obey(agent_folder, action, folder, options):
    """As the agent's own `obey`; it is loaded where it is not there and is to be armed, and leaves when disarmed."""
    agent, loaded = sys.modules.get(PACKAGE), False
    if agent is None:
        if action != "arm":
            return "absent"
        agent, loaded = load(agent_folder), True
    thread = getattr(agent._sampler, "_tid", 0)
    try:
        result = agent.obey(action, folder, options)
    except BaseException:
        if action == "arm":
            agent._sampler = None
        if loaded:
            leave(agent)
        raise
    return left(agent, thread, result) if result.startswith("stopped") else result


def left(agent, thread, result):
    """Take the agent out of the program; "stopping" when its thread needs longer than it was given."""
    listener = sys.modules.get(PACKAGE + ".listener")
    if listener is not None and listener.is_open():
        return result  # armed beforehand: it goes on sleeping
    if thread and not vanishes("/proc/self/task/%d" % thread):
        return result.replace("stopped", "stopping", 1)
    leave(agent)
    return result


def load(folder):
    """The agent from its files, under a name of its own, past sys.path and without writing bytecode."""
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import FileFinder, SourceFileLoader, spec_from_file_location

    loaders = []

    def loader(name, path):
        found = SourceFileLoader(name, path)
        found.source_to_code, found.exec_module = refuse, run
        loaders.append(found)
        return found

    first = folder + "/__init__.py"
    spec = spec_from_file_location(PACKAGE, first, loader=loader(PACKAGE, first), submodule_search_locations=[folder])
    sys.path_importer_cache[folder] = FileFinder(folder, (loader, [".py"]))
    try:
        agent = sys.modules[PACKAGE] = module_from_spec(spec)
        run(agent)
        return agent
    except BaseException:
        forget()
        raise
    finally:
        sys.path_importer_cache.pop(folder, None)
        for used in loaders:  # functions of this file: they would stay, and be taken for the program's
            del used.source_to_code, used.exec_module


def run(module):
    """Run a module by its bytecode, or by its text where there is none that fits.

    Not by compile(), which brings a hundred classes of syntax trees to a program that never needed them, and names of
    files that Python 3.12 keeps for ever.
    """
    loader, name = module.__loader__, module.__name__
    try:
        code = loader.get_code(name)
    except NotImplementedError:
        code = loader.get_data(loader.path)
    exec(code, module.__dict__)


def refuse(*source, **more):
    raise NotImplementedError


def vanishes(path):
    """Whether the path goes away within a second."""
    from time import sleep

    for _ in range(200):
        try:
            stat(path)
        except OSError:
            return True
        sleep(0.005)
    return False


def leave(agent):
    """Out of the program; when a hook can't be found (gc.freeze() hides it), the agent stays and sleeps instead."""
    from atexit import unregister

    unregister(agent._at_exit)
    if not agent._hooked or unhook(vars(agent), ("_before_fork", "_after_fork", "_in_child")):
        forget()


def forget():
    """Drop the agent's modules, and what holds them together, so that they go without waiting for the collector.

    A class refers to itself and waits for it all the same; its methods do not.
    """
    for name in [name for name in list(sys.modules) if name.partition(".")[0] == PACKAGE]:
        namespace = sys.modules.pop(name).__dict__
        for kind in [item for item in namespace.values() if type(item) is type and item.__module__ == name]:
            for entry in [entry for entry, value in vars(kind).items() if type(value) in METHODS]:
                delattr(kind, entry)
        namespace.clear()


def unhook(namespace, names):
    """Take the hooks of these names out of the interpreter's own lists: for os.register_at_fork there is no undoing.

    True when nothing refers to them any more but their namespace. The lists may change at any moment; the GIL is given
    away every 2 ms.
    """
    from gc import get_objects
    from sys import getrefcount
    from time import perf_counter, sleep

    hooks, since = {id(namespace[name]) for name in names}, perf_counter()
    for candidate in get_objects():
        if type(candidate) is list and len(candidate) < 1000 and not hooks.isdisjoint(map(id, candidate)):
            for index in range(len(candidate) - 1, -1, -1):
                if index < len(candidate) and id(candidate[index]) in hooks:
                    del candidate[index]
        if perf_counter() - since > 0.002:
            sleep(0)
            since = perf_counter()
    return all(getrefcount(namespace[name]) <= 2 for name in names)
