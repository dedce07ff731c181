"""The services that are started for real: how, what leaks in each, and how its healthy twin differs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from .serving import SERVICES

PYTHON = sys.executable
SHOP = ("flask_app.Session", "flask_app.Session.opened", "flask_app.py:13")
LISTENERS = ("fastapi_app.Listener", "starlette.datastructures.State._state", "starlette/datastructures.py")
RECEIPTS = ("django_app.Receipt", "django.dispatch.dispatcher.Signal.receivers", "django/dispatch/dispatcher.py")


@dataclass(frozen=True)
class Service:
    """`{port}` and `{folder}` in its words are filled in; `leak` is (class, holder, file[:line]); `status` its exit's.

    `repaired` is what the environment has for the twin that keeps nothing; `workers` how many processes must have been
    seen well before there is a verdict.
    """

    words: tuple[str, ...]
    leak: tuple[str, str, str]
    status: int = 0
    repaired: Mapping[str, str] = field(default_factory=lambda: {"KEEP": "60"})
    environment: Mapping[str, str] = field(default_factory=dict)
    has_port: bool = True
    is_recycled: bool = False
    needs_redis: bool = False
    per_second: float = 40.0


def _python(*words: str) -> tuple[str, ...]:
    return (PYTHON, *words)


def _gunicorn(*words: str, app: str = "flask_app:app") -> tuple[str, ...]:
    return _python("-m", "gunicorn", "-b", "127.0.0.1:{port}", *words, app)


def _uvicorn(*words: str) -> tuple[str, ...]:
    return _python("-m", "uvicorn", "--port", "{port}", "--log-level", "warning", *words, "fastapi_app:app")


def _celery(*words: str) -> Service:
    command = _python("-m", "celery", "-A", "celery_app", "worker", "-B", "-c", "2", "-s", "{folder}/beat", *words)
    return Service(
        command, ("celery_app.Invoice", "celery_app.sent", "celery_app.py:18"), has_port=False, needs_redis=True,
        is_recycled="--max-tasks-per-child" in words,
    )  # fmt: skip


def _script(name: str, *words: str, leak: tuple[str, str, str], status: int = -15) -> Service:
    return Service(_python(str(SERVICES / name), *words), leak, status, has_port=False)


# The first of each group is quick enough for every run of the tests.
QUICK = {
    "uvicorn": Service(_uvicorn(), LISTENERS, -15),
    "gunicorn sync": Service(_gunicorn("-w", "1"), SHOP),
    "a worker": _script("worker.py", leak=("__main__.Thumbnail", "__main__.thumbnail", "worker.py:18"), status=0),
}
SERVED = {
    "uvicorn with workers": Service(_uvicorn("--workers", "2"), LISTENERS),
    "uvicorn with reload": Service(_uvicorn("--reload", "--reload-dir", str(SERVICES)), LISTENERS),
    "gunicorn gthread": Service(_gunicorn("-k", "gthread", "--threads", "4"), SHOP),
    "gunicorn gevent": Service(_gunicorn("-k", "gevent"), SHOP),
    "gunicorn with uvicorn's worker": Service(
        _gunicorn("-k", "uvicorn.workers.UvicornWorker", app="fastapi_app:app"), LISTENERS
    ),
    "gunicorn preloaded": Service(_gunicorn("--preload", "-w", "2"), SHOP),
    "gunicorn recycled": Service(_gunicorn("-w", "2", "--max-requests", "200"), SHOP, is_recycled=True),
    "Celery prefork": _celery(),
    "Celery threads": _celery("-P", "threads"),
    "Celery recycled": _celery("--max-tasks-per-child", "80"),
    "Django under gunicorn": Service(_gunicorn("-w", "2", app="django_app:application"), RECEIPTS),
    "Django's own server": Service(
        _python(str(SERVICES / "django_app.py"), "runserver", "--noreload", "{port}"),
        ("__main__.Receipt", *RECEIPTS[1:]), -15,
    ),
    "Django's command": _script("django_app.py", "loop", leak=("__main__.Receipt", *RECEIPTS[1:])),
    "schedule": _script("schedule_app.py", leak=("schedule.Job", "schedule.jobs", "schedule/__init__.py")),
    "APScheduler": _script(
        "apscheduler_app.py", leak=("__main__.Measurement", "__main__.Station.history", "apscheduler_app.py:17")
    ),
}  # fmt: skip
