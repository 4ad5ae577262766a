"""What SageMaker tells CloudWatch about requests that are in flight at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from localcloud.cloudwatch import statistics
from localcloud.cloudwatch.store import MetricKey, MetricStore
from localcloud.sagemaker.metrics import NAMESPACE, Concurrency

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
KEY = MetricKey(
    "us-east-1",
    NAMESPACE,
    "ConcurrentRequestsPerModel",
    (("EndpointName", "e"), ("VariantName", "live")),
)


def test_ten_seconds_have_the_most_and_the_fewest_requests_at_once() -> None:
    store = MetricStore()
    concurrency = Concurrency(store)
    for second, count in ((0, 2), (1, 2), (2, 5), (3, 1), (9, 3), (10, 4), (19, 4)):
        concurrency.add("us-east-1", "e", "live", count, NOW + timedelta(seconds=second))
    start = int(NOW.timestamp())
    found = store.periods(KEY, start, start + 20, 10)
    shown = {
        at - start: (
            statistics.compute("Minimum", samples),
            statistics.compute("Maximum", samples),
            samples.count,
        )
        for at, samples in found.items()
    }
    # Only what changes a window's minimum or maximum is told.
    assert shown == {0: (1.0, 5.0, 3.0), 10: (4.0, 4.0, 1.0)}
    minute = store.periods(KEY, start, start + 60, 60)
    assert [statistics.compute("Maximum", samples) for samples in minute.values()] == [5.0]
