"""The figures by OpenTelemetry's own SDK; where they go is said by the standard OTEL_* variables."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from leakhunt import __version__
from leakhunt.errors import UsageError

from .figures import Metric

FLUSH_MS = 5000


class Otel:
    """Hands the figures on at the interval of OTEL_METRIC_EXPORT_INTERVAL.

    Raises:
        UsageError: the variables ask for an exporter that is not here.
    """

    def __init__(self, metrics: Callable[[], Iterable[Metric]]) -> None:
        readers = [PeriodicExportingMetricReader(one) for one in _exporters()]
        self._provider = MeterProvider(readers, Resource.create({"telemetry.leakhunt.version": __version__}))
        meter = self._provider.get_meter("leakhunt", __version__)
        for metric in metrics():
            make = meter.create_observable_counter if metric.kind == "counter" else meter.create_observable_gauge
            make(_name(metric.name), [_observed(metrics, metric.name)], description=metric.help)

    def end(self) -> None:
        """Send what is left."""
        self._provider.shutdown(FLUSH_MS)


def _observed(metrics: Callable[[], Iterable[Metric]], name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(options: CallbackOptions) -> Iterable[Observation]:
        metric = next(metric for metric in metrics() if metric.name == name)
        return [Observation(value, dict(labels)) for labels, value in metric.values]

    return observe


def _name(prometheus: str) -> str:
    """
    >>> _name("leakhunt_process_snapshots_total")
    'leakhunt.process.snapshots'
    """
    words = prometheus.removesuffix("_total").split("_")
    groups = 2 if words[1] in ("process", "place", "finding") and len(words) > 2 else 1
    return ".".join([*words[:groups], "_".join(words[groups:])])


def _exporters() -> list[MetricExporter]:
    found: list[MetricExporter] = []
    for name in os.environ.get("OTEL_METRICS_EXPORTER", "otlp").split(","):
        if name.strip() == "console":
            found.append(ConsoleMetricExporter(out=sys.stderr))
        elif name.strip() == "otlp":
            found.append(_otlp())
        elif name.strip() != "none":
            raise UsageError(f"OTEL_METRICS_EXPORTER={name} is not supported.", "Use otlp, console or none.")
    return found


def _otlp() -> MetricExporter:
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    try:
        if protocol == "grpc":
            from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        else:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    except ImportError:
        package = f"opentelemetry-exporter-otlp-proto-{'grpc' if protocol == 'grpc' else 'http'}"
        raise UsageError(
            f"OpenTelemetry's exporter for {protocol} is not installed.", f"pip install {package}"
        ) from None
    exporter: MetricExporter = OTLPMetricExporter()
    return exporter
