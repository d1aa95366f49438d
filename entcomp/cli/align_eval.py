"""entcomp align-eval"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entcomp.cli.options import Data, Exp, Seed, Sets, SkipBad

if TYPE_CHECKING:
    import numpy as np

    from entcomp.artifacts.experiment import Experiment, UnitsInfo
    from entcomp.evaluation.boundaries.evaluate import Chance
    from entcomp.evaluation.boundaries.references import References

    Groups = Iterator[tuple[str, np.ndarray]]

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
    speaker: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of a conversation.", show_default="all of them"),
    ] = None,
    silences: Annotated[
        str | None,
        typer.Option(metavar="LABELS", help="By commas.", show_default="those of aligners"),
    ] = None,
    max_difference: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Between a TextGrid and its units.")
    ] = 0.1,
    skip_bad: SkipBad = False,
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
    from entcomp.evaluation.boundaries.remarks import Remarks
    from entcomp.evaluation.boundaries.ticks import to_ticks
    from entcomp.formats.textgrid import TierChoice, parse_silences
    from entcomp.kaldi.datadir import find_sets

    experiment = Experiment(exp)
    info = experiment.units_info()
    matching = Matching(to_ticks(tolerance), lenient, to_ticks(shift))
    names = tuple(name.strip() for name in tiers.split(","))
    choice = TierChoice(speaker, parse_silences(silences))
    facts: dict[str, Any] = {"tolerance": tolerance, "lenient": lenient, "shift": shift}
    facts |= {"seed": seed, "speaker": speaker, "silences": silences}
    facts |= {"max_difference": max_difference}

    def score(groups: Groups, references: References) -> dict[str, Any]:
        remarks = Remarks(skip_bad, max_difference)
        return evaluate(groups, references, info, matching, _chance(seed), seed, remarks) | facts

    scored = []
    tags = _check_tags(experiment, info, segments)
    for data_set in find_sets(data, sets):
        scps = _find_groups(experiment, data_set.name, tags)
        references = References(alignments or experiment.alignments(data_set.name), names, choice)
        if any(utt_id in references for scp in scps.values() for utt_id in _ids(scp)):
            folder = output or exp / "align_eval"
            _score_set(experiment, scps, references, score, folder, data_set.name)
            scored.append(data_set.name)
        else:
            reason = references.describe() if scps else "no groups"
            print(f"{data_set.name}: {reason}; not scored")
    if not scored:
        raise EntcompError(f"{data}: no set has groups and TextGrids; run segment and align first")


def _score_set(
    experiment: Experiment,
    scps: dict[str, Path],
    references: References,
    score: Callable[[Groups, References], dict[str, Any]],
    output: Path,
    set_name: str,
) -> None:
    """Score all segmentations of a set; write, and print, what came out."""
    from entcomp.evaluation.boundaries.remarks import describe_remarks
    from entcomp.files import atomic_path, write_json
    from entcomp.progress import track
    from entcomp.report.boundary_scores import by_rate, markdown_page

    results = []
    for tag, scp in track(scps.items(), f"align-eval {set_name}", total=len(scps)):
        result = score(_read_groups(scp), references)
        result |= {"tag": tag, "set": set_name, "alignments": str(references.folder)}
        result |= {"criterion": experiment.criterion(tag)}
        write_json(output / tag / f"{set_name}.json", result)
        results.append(result)
    page = markdown_page(set_name, by_rate(results))
    path = output / f"{set_name}.md"
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(page)
    for line in describe_remarks(results[0]):
        print(f"{set_name}: {line}")
    print(f"{set_name}: written to {path}")


def _check_tags(experiment: Experiment, info: UnitsInfo, wanted: str) -> list[str]:
    """The segmentations asked for, each made of this experiment's units.

    Raises EntcompError for one that does not exist or is of another codebook.
    """
    from entcomp.artifacts.experiment import check_same
    from entcomp.errors import EntcompError
    from entcomp.files import read_json

    there = sorted(path.name for path in experiment.path.glob("segments/*") if path.is_dir())
    tags = there if wanted == "all" else [tag.strip() for tag in wanted.split(",")]
    for tag in tags:
        folder = experiment.segments(tag)
        if tag not in there:
            raise EntcompError(f"{folder}: no such segmentation; there are: {', '.join(there)}")
        if (folder / "threshold.json").exists():
            found = read_json(folder / "threshold.json").get("codebook_sha256")
            check_same(info.codebook_sha256, found, "codebook", folder, "rerun segment")
    return tags


def _find_groups(experiment: Experiment, set_name: str, tags: list[str]) -> dict[str, Path]:
    """The scp of each segmentation that a set has; for ``dedup``, of the units if need be."""
    scps = {tag: experiment.segments(tag) / set_name / "groups.scp" for tag in tags}
    there = {tag: scp for tag, scp in scps.items() if scp.exists()}
    units = experiment.units(set_name) / "units.scp"
    return there | ({"dedup": units} if "dedup" not in there and units.exists() else {})


def _ids(scp: Path) -> Iterator[str]:
    from entcomp.kaldi.table import iter_table

    return (utt_id for utt_id, _ in iter_table(scp))


def _read_groups(scp: Path) -> Groups:
    """Yield ids and group lengths: those of an archive of groups, or of runs of equal units."""
    from entcomp.kaldi.ark import iter_vectors
    from entcomp.segmentation import baselines

    for utt_id, vector in iter_vectors(scp):
        is_units = scp.name == "units.scp"
        yield utt_id, _lengths(baselines.dedup(vector)) if is_units else vector


def _chance(seed: int) -> dict[str, Chance]:
    """Equal and random groups, as many as an utterance's own."""
    from entcomp.segmentation import baselines

    def uniform(_: str, own: np.ndarray) -> list[np.ndarray]:
        frames = own.sum(keepdims=True)
        return [_lengths(baselines.uniform(frames, len(own) / int(frames[0])))]

    def random(utt_id: str, own: np.ndarray) -> list[np.ndarray]:
        frames = own.sum(keepdims=True)
        rate = len(own) / int(frames[0])
        seeds = range(seed + 1, seed + 1 + RANDOM_DRAWS)  # not that of a tag random15 itself
        return [_lengths(baselines.random([utt_id], frames, rate, one)) for one in seeds]

    return {"uniform": uniform, "random": random}


def _lengths(starts: np.ndarray) -> np.ndarray:
    """Group lengths (groups,) from where groups start, bool (frames,)."""
    import numpy as np

    return np.diff(np.append(np.flatnonzero(starts), len(starts)))
