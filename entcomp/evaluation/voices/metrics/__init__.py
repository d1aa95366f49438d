"""Metrics of voices, a file each; entcomp/evaluation/README.md says how to add one."""

from __future__ import annotations

import logging

from entcomp.evaluation.voices.metric import VoiceMetric
from entcomp.registry import Registry

log = logging.getLogger(__name__)

VOICE_METRICS: Registry[type[VoiceMetric]] = Registry(
    "voice metric", "entcomp.evaluation.voices.metrics", "entcomp.voice_metrics"
)


def describe_voice_metrics() -> str:
    """A paragraph for each metric, as ``score-vc --help`` has them."""
    return "\n\n".join(f"{name}: {one.help}" for name, one in VOICE_METRICS.items())


def ready_metrics() -> list[str]:
    """Those that count where nobody names any; a warning says which do not, and why."""
    for name, one in VOICE_METRICS.items():
        if not one.is_ready():
            log.warning("metric %s is left out: its model is not installed (%s)", name, one.help)
    return [name for name, one in VOICE_METRICS.items() if one.is_ready()]


def distance_labels() -> dict[str, str]:
    """What tables call each distance of every metric."""
    return {name: label for _, one in VOICE_METRICS.items() for name, label in one.labels.items()}


def main_distances() -> list[str]:
    """The distance of each metric that tells which of two voices is nearer."""
    return [next(iter(one.labels)) for _, one in VOICE_METRICS.items()]
