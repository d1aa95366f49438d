"""entcomp align-eval"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entcomp.cli.options import Data, Exp, Seed, Sets

if TYPE_CHECKING:
    import numpy as np

    from entcomp.artifacts.experiment import Experiment
    from entcomp.artifacts.groups import Groups
    from entcomp.evaluation.boundaries.evaluate import Chance
    from entcomp.evaluation.boundaries.references import References

RANDOM_DRAWS = 5


def align_eval(
    data: Data,
    exp: Exp,
    segments: Annotated[
        str, typer.Option(metavar="TAGS", help="Segmentations, by commas, or all.")
    ] = "all",
    alignments: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="TextGrids, UTT.TextGrid.", show_default="EXP/align/SET"),
    ] = None,
    sets: Sets = None,
    tolerance: Annotated[float, typer.Option(min=0, metavar="SECONDS")] = 0.02,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Many-to-one matching instead of one-to-one.")
    ] = False,
    shift: Annotated[
        float, typer.Option(metavar="SECONDS", help="Added to all boundaries of groups.")
    ] = 0.0,
    tiers: Annotated[str, typer.Option(metavar="NAMES", help="By commas.")] = "words,phones",
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", show_default="EXP/align_eval")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Score the boundaries of groups against TextGrids, beside chance at the same rate.

    Writes OUTPUT/TAG/SET.json and, of all tags, OUTPUT/SET.md.
    """
    from entcomp.artifacts.experiment import Experiment
    from entcomp.errors import EntcompError
    from entcomp.evaluation.boundaries.evaluate import Matching, evaluate
    from entcomp.evaluation.boundaries.references import References
    from entcomp.evaluation.boundaries.ticks import to_ticks
    from entcomp.kaldi.datadir import find_sets

    experiment = Experiment(exp)
    info = experiment.units_info()
    matching = Matching(to_ticks(tolerance), lenient, to_ticks(shift))
    names = tuple(name.strip() for name in tiers.split(","))
    facts = {"tolerance": tolerance, "lenient": lenient, "shift": shift, "seed": seed}

    def score(groups: Groups, references: References) -> dict[str, Any]:
        return evaluate(groups, references, info, matching, _chance(seed), seed) | facts

    scored = []
    tags = _check_tags(experiment, segments)
    for data_set in find_sets(data, sets):
        groups = _open_groups(experiment, data_set.name, tags)
        references = References(alignments or experiment.alignments(data_set.name), names)
        if any(utt_id in references for one in groups.values() for utt_id in one.ids()):
            folder = output or exp / "align_eval"
            _score_set(experiment, groups, references, score, folder, data_set.name)
            scored.append(data_set.name)
        else:
            print(f"{data_set.name}: no groups with TextGrids in {references.folder}; not scored")
    if not scored:
        raise EntcompError(f"{data}: no set has groups and TextGrids; run segment and align first")


def _score_set(
    experiment: Experiment,
    groups: dict[str, Groups],
    references: References,
    score: Callable[[Groups, References], dict[str, Any]],
    output: Path,
    set_name: str,
) -> None:
    """Score all segmentations of a set; write, and print, what came out."""
    from entcomp.files import atomic_path, write_json
    from entcomp.progress import track
    from entcomp.report.boundary_scores import by_rate, markdown_page

    results = []
    for tag, one in track(groups.items(), f"align-eval {set_name}", total=len(groups)):
        result = score(one, references)
        result |= {"tag": tag, "set": set_name, "alignments": str(references.folder)}
        result |= {"criterion": experiment.criterion(tag)}
        write_json(output / tag / f"{set_name}.json", result)
        results.append(result)
    page = markdown_page(set_name, by_rate(results))
    path = output / f"{set_name}.md"
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(page)
    if missing := results[0]["missing"]:
        verb = "utterance has" if len(missing) == 1 else "utterances have"
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        print(f"{set_name}: {len(missing)} {verb} no TextGrid: {shown}")
    print(f"{set_name}: written to {path}")


def _check_tags(experiment: Experiment, wanted: str) -> list[str]:
    """The segmentations asked for. Raises EntcompError for one that is not there."""
    from entcomp.artifacts.groups import check_segmentation

    tags = [tag.strip() for tag in wanted.split(",")]
    tags = experiment.segmentations() if wanted == "all" else tags
    for tag in tags:
        check_segmentation(experiment, tag)
    return tags


def _open_groups(experiment: Experiment, set_name: str, tags: list[str]) -> dict[str, Groups]:
    """The segmentations that a set has; and its runs of equal units, as ``dedup``."""
    from entcomp.artifacts.groups import Groups

    found = {tag: Groups.find(experiment, set_name, tag) for tag in dict.fromkeys([*tags, "dedup"])}
    return {tag: groups for tag, groups in found.items() if groups}


def _chance(seed: int) -> dict[str, Chance]:
    """Equal and random groups, as many as an utterance's own."""
    from entcomp.artifacts.runs import lengths_of
    from entcomp.segmentation import baselines

    def uniform(_: str, own: np.ndarray) -> list[np.ndarray]:
        frames = own.sum(keepdims=True)
        return [lengths_of(baselines.uniform(frames, len(own) / int(frames[0])))]

    def random(utt_id: str, own: np.ndarray) -> list[np.ndarray]:
        frames = own.sum(keepdims=True)
        rate = len(own) / int(frames[0])
        seeds = range(seed + 1, seed + 1 + RANDOM_DRAWS)  # not that of a tag random15 itself
        return [lengths_of(baselines.random([utt_id], frames, rate, one)) for one in seeds]

    return {"uniform": uniform, "random": random}
