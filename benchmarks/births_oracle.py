"""Runs a program whose leak is known and says, without leakhunt, which lines make and keep what leaks.

    python births_oracle.py APP CLASSES PROBE OUT

Slow ways that miss nothing: tracemalloc from the beginning for every object of the classes (names separated by commas)
that is there in the end, and sys.settrace for the line of the program after which PROBE, an expression for the size of
the holder, is more than before. OUT gets JSON: {"made": {class: [[file, line, function, count], ...]}, "added": [...]}.
Any Python from 3.8 on.
"""

import atexit
import collections
import gc
import json
import os
import sys
import threading
import tracemalloc

MOST = 400  # additions


def main():
    app, classes, probe, out = sys.argv[1:5]
    sys.argv[:] = [app]
    sys.path[0] = os.path.dirname(os.path.abspath(app))
    adders, stdlib = collections.Counter(), os.path.dirname(os.__file__)
    module = type(sys)("__main__")
    module.__file__, sys.modules["__main__"] = app, module
    size = [None]
    code_of_probe = compile(probe, "<probe>", "eval") if probe not in ("", "rss", "blocks") else None
    last = {}

    def measured():
        try:
            return eval(code_of_probe, module.__dict__)
        except Exception:
            return None

    def trace(frame, event, argument):
        code = frame.f_code
        if not code.co_filename.endswith(os.path.basename(app)):
            return None
        now = measured() if code_of_probe is not None and sum(adders.values()) < MOST else None
        here = threading.get_ident()
        if now is not None and size[0] is not None and now > size[0] and last.get(here):
            adders[last[here]] += 1
        size[0] = now if now is not None else size[0]
        if event == "return":
            caller = frame.f_back
            is_app = caller is not None and caller.f_code.co_filename.endswith(os.path.basename(app))
            last[here] = (caller.f_code.co_filename, caller.f_lineno, named(caller.f_code)) if is_app else None
        else:
            last[here] = (code.co_filename, frame.f_lineno, named(code))
        return trace

    def named(code):
        return getattr(code, "co_qualname", code.co_name)

    def tell():
        sys.settrace(None)
        made = {}
        wanted = set(classes.split(","))
        found = {}
        for item in gc.get_objects():
            kind = type(item)
            name = kind.__module__ + "." + kind.__qualname__
            if name in wanted:
                found.setdefault(name, []).append(item)
        for name, items in found.items():
            package = name.partition(".")[0]
            counts = collections.Counter()
            for item in items:
                trace_ = tracemalloc.get_object_traceback(item)
                if trace_ is not None:
                    frames = [(frame.filename, frame.lineno) for frame in reversed(trace_)]
                    outside = [f for f in frames if not f[0].startswith((stdlib, "<frozen")) or "site-packages" in f[0]]
                    outside = [f for f in outside if "births_oracle" not in f[0] and f[0] != "<string>"] or frames
                    others = [f for f in outside if "/" + package + "/" not in f[0]]
                    counts[(others or outside)[0]] += 1
            made[name] = [[file, line, "", count] for (file, line), count in counts.most_common(5)]
        added = [[file, line, name, count] for (file, line, name), count in adders.most_common(5)]
        with open(out, "w") as file:
            json.dump({"made": made, "added": added}, file)

    with open(app, "rb") as file:
        code = compile(file.read(), os.path.abspath(app), "exec")
    atexit.register(tell)
    tracemalloc.start(25)
    module.__builtins__ = __builtins__
    threading.settrace(trace)
    sys.settrace(trace)
    exec(code, module.__dict__)


if __name__ == "__main__":
    main()
