"""Extractors by name; each is one file of this package, or of another package: see README.md."""

from __future__ import annotations

from pathlib import Path

from entcomp.errors import EntcompError, naming_missing_packages
from entcomp.registry import Registry
from entcomp.units.extractor import Extractor, ExtractorFamily, ExtractorKind

EXTRACTORS: Registry[ExtractorKind] = Registry(
    "extractor", "entcomp.units.extractors", "entcomp.extractors"
)


def load_extractor(
    name: str, layer: str | None = None, checkpoint: Path | None = None, device: str = "auto"
) -> Extractor:
    """The extractor of that name, ready for waveforms.

    What stands after a colon in ``name`` is the kind's own, as in ``transformers:NAME``.
    ``layer`` is a number or ``last``, None the extractor's default; ``checkpoint`` holds its
    weights, where it has some that are not its own to find; ``device`` is auto, cpu or cuda.
    Raises EntcompError for an unknown name or layer, or a checkpoint that is not there.
    """
    name, colon, text = name.partition(":")
    kind = EXTRACTORS[name]
    if colon:
        if not isinstance(kind, ExtractorFamily):
            raise EntcompError(f"--extractor {name}:{text}: {name} takes nothing after a colon")
        kind = kind.of(text)
    with naming_missing_packages(f"--extractor {name}"):
        return kind(layer, checkpoint, device)


def describe_extractors() -> str:
    """A line for each extractor that there is, as ``learn-kmeans --help`` has them."""
    names: dict[ExtractorKind, list[str]] = {}
    for name, kind in EXTRACTORS.items():
        names.setdefault(kind, []).append(name)
    return "\n\n".join(
        f"{' or '.join(found)}: {kind.help}"
        + (f" (layer {kind.default_layer})" if kind.default_layer else "")
        for kind, found in names.items()
    )
