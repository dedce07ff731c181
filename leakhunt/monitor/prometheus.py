"""The figures for Prometheus, over HTTP."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from .figures import Metric


class _Figures(Collector):
    """Asked at every scrape: nothing is kept between two, so a series that ends is gone."""

    def __init__(self, metrics: Callable[[], Iterable[Metric]]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Family]:
        return [_family(metric) for metric in self._metrics()]

    def describe(self) -> Iterable[Family]:
        return []


def _family(metric: Metric) -> Family:
    names = list(metric.values[0][0]) if metric.values else []
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=names)
    for labels, value in metric.values:
        family.add_metric(list(labels.values()), value)
    return family


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    timeout = 30  # seconds for one request: whoever says nothing does not keep a thread for ever

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def serve(listening: socket.socket, metrics: Callable[[], Iterable[Metric]]) -> Callable[[], None]:
    """Answer scrapes at a socket that listens, by threads that end with the process.

    Returns:
        what gives the port away again.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(metrics))
    server = _Server(listening.getsockname()[:2], _Silent, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    server.server_name, server.server_port = listening.getsockname()[:2]
    server.setup_environ()
    server.set_app(make_wsgi_app(registry))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def close() -> None:
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits at it, too
        server.shutdown()
        server.server_close()

    return close
