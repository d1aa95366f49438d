"""entcomp align-eval"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entcomp.cli.options import Data, Exp, Seed, Sets

if TYPE_CHECKING:
    import numpy as np

    from entcomp.artifacts.experiment import Experiment, UnitsInfo
    from entcomp.evaluation.boundaries.references import References

    Groups = Iterator[tuple[str, np.ndarray]]


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
    from entcomp.segmentation.chance import chance_groups

    experiment = Experiment(exp)
    info = experiment.units_info()
    matching = Matching(to_ticks(tolerance), lenient, to_ticks(shift))
    names = tuple(name.strip() for name in tiers.split(","))
    facts = {"tolerance": tolerance, "lenient": lenient, "shift": shift, "seed": seed}

    def score(groups: Groups, references: References) -> dict[str, Any]:
        return evaluate(groups, references, info, matching, chance_groups(seed), seed) | facts

    scored = []
    tags = _check_tags(experiment, info, segments)
    for data_set in find_sets(data, sets):
        scps = _find_groups(experiment, data_set.name, tags)
        references = References(alignments or experiment.alignments(data_set.name), names)
        if any(utt_id in references for scp in scps.values() for utt_id in _ids(scp)):
            folder = output or exp / "align_eval"
            _score_set(experiment, scps, references, score, folder, data_set.name)
            scored.append(data_set.name)
        else:
            print(f"{data_set.name}: no groups with TextGrids in {references.folder}; not scored")
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
    if missing := results[0]["missing"]:
        verb = "utterance has" if len(missing) == 1 else "utterances have"
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        print(f"{set_name}: {len(missing)} {verb} no TextGrid: {shown}")
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
    from entcomp.artifacts.streams import plain_groups
    from entcomp.kaldi.ark import iter_vectors

    for utt_id, vector in iter_vectors(scp):
        is_units = scp.name == "units.scp"
        yield utt_id, plain_groups(vector, "dedup") if is_units else vector
