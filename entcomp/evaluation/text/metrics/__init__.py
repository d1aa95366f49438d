"""Metrics of texts, a file each; entcomp/tasks/README.md says how to add one."""

from __future__ import annotations

from entcomp.evaluation.text.metric import Metric
from entcomp.registry import Registry

METRICS: Registry[type[Metric]] = Registry(
    "metric", "entcomp.evaluation.text.metrics", "entcomp.metrics"
)


def describe_metrics() -> str:
    """A paragraph for each metric, as ``score --help`` has them."""
    return "\n\n".join(f"{name}: {one.help}" for name, one in METRICS.items())


def score_labels() -> dict[str, str]:
    """What tables and figures call each score of every metric."""
    return {name: label for _, one in METRICS.items() for name, label in one.labels.items()}
