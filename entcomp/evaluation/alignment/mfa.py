"""Forced alignment by the Montreal Forced Aligner, where it is installed."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from entcomp.errors import EntcompError
from entcomp.evaluation.alignment.aligner import SAMPLE_RATE, Outcomes, Transcript, Unaligned
from entcomp.formats.textgrid import TextGrid, read_textgrid

NOTHING_FOUND = Unaligned("mfa made no TextGrid: the text does not fit the audio")


def align(
    transcripts: Sequence[Transcript], num_jobs: int, dictionary: str, acoustic: str
) -> Outcomes:
    """Align a whole set by one call of ``mfa align``, whose own output goes to stderr.

    ``dictionary`` and ``acoustic`` are names of MFA's models, or files. Raises EntcompError if
    mfa fails.
    """
    with tempfile.TemporaryDirectory(prefix="entcomp-mfa-") as name:
        folder = Path(name)
        bad = _write_corpus(folder / "corpus", transcripts)
        _run(folder, num_jobs, dictionary, acoustic)
        for transcript in transcripts:
            utt_id = transcript.utt_id
            path = folder / "aligned" / transcript.speaker / f"{utt_id}.TextGrid"
            if utt_id in bad:
                yield utt_id, bad[utt_id]
            elif path.exists():
                yield utt_id, _with_our_names(path)
            else:
                yield utt_id, NOTHING_FOUND


def _write_corpus(corpus: Path, transcripts: Sequence[Transcript]) -> dict[str, Unaligned]:
    """``speaker/utt_id.{wav,lab}`` as MFA reads them; returns the bad recordings."""
    import soundfile

    bad = {}
    for transcript in transcripts:
        waveform = transcript.read()
        if isinstance(waveform, Unaligned):
            bad[transcript.utt_id] = waveform
            continue
        path = corpus / transcript.speaker / transcript.utt_id
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(f"{path}.wav", waveform, SAMPLE_RATE, subtype="PCM_16")
        Path(f"{path}.lab").write_text(transcript.text + "\n", encoding="utf-8")
    return bad


def _run(folder: Path, num_jobs: int, dictionary: str, acoustic: str) -> None:
    command = ["mfa", "align", "--clean", "--output_format", "long_textgrid"]
    command += ["--num_jobs", str(num_jobs), "--temporary_directory", str(folder / "work")]
    command += [str(folder / "corpus"), dictionary, acoustic, str(folder / "aligned")]
    try:
        code = subprocess.run(command, stdout=2, check=False).returncode
    except FileNotFoundError:
        raise EntcompError(
            "mfa: not installed; run tools/install_mfa.sh, or pass --aligner pocketsphinx"
        ) from None
    if code:
        raise EntcompError(
            f"mfa align exited with {code}, see above; are the models '{dictionary}' and "
            f"'{acoustic}' there? mfa model download fetches them"
        )


def _with_our_names(path: Path) -> TextGrid:
    grid = read_textgrid(path)
    wanted = {kind: grid.tier(kind) for kind in ("words", "phones")}
    return TextGrid(grid.duration, wanted)
