"""Hours of audio an hour of `dump-units`, beside the script that one writes first."""

from __future__ import annotations

import os
import time
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.shard import Shard
from entcomp.files import sha256_file
from entcomp.kaldi.ark import iter_vectors
from entcomp.kaldi.datadir import DataDir
from entcomp.units.codebook import Codebook
from entcomp.units.dump import Dumper
from entcomp.units.extractors import load_extractor
from entcomp.units.extractors.moonshine import find_encoder

UTTERANCES, SECONDS, CLUSTERS = 240, 6, 500


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    """24 minutes of noise, of whose content the work does not depend, as FLAC."""
    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    lines = []
    for number in range(UTTERANCES):
        path = folder / f"utt{number:03}.flac"
        soundfile.write(path, 0.1 * generator.standard_normal(SECONDS * 16000), 16000)
        lines.append(f"{path.stem} {path}\n")
    (folder / "wav.scp").write_text("".join(lines))
    return DataDir("data", folder)


@pytest.fixture(scope="module")
def dumper(tmp_path_factory: pytest.TempPathFactory, moonshine_encoder: Path) -> Dumper:
    extractor = load_extractor("moonshine", checkpoint=moonshine_encoder)
    exp = Experiment(tmp_path_factory.mktemp("exp"))
    generator = np.random.default_rng(1)
    codebook = Codebook(generator.standard_normal((CLUSTERS, extractor.dim)).astype(np.float32))
    codebook.write(exp.codebook)
    grid = extractor.grid
    facts = ("moonshine", 3, CLUSTERS, 16000, grid.shift, grid.offset, sha256_file(exp.codebook))
    return Dumper(exp, UnitsInfo(*facts), codebook, extractor, num_jobs=os.cpu_count() or 1)


def plain_loop(data: DataDir, codebook: Codebook, folder: Path) -> None:
    """One utterance after the other through the whole encoder, onnxruntime as it comes.

    The last layer stands for the third, which the model as it comes does not give away.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(find_encoder())
    names = f"ark,scp:{folder / 'plain.ark'},{folder / 'plain.scp'}"
    centroids = codebook.centroids
    with kaldiio.WriteHelper(names) as ark:
        for utterance in data.utterances():
            waveform, _ = soundfile.read(utterance.wav, dtype="float32")
            features = session.run(None, {"input_values": waveform[None]})[0][0]
            distances = (centroids**2).sum(axis=1) - 2 * features @ centroids.T
            ark(utterance.utt_id, distances.argmin(axis=1).astype(np.int32))


@pytest.mark.bench
def test_dump_units(data: DataDir, dumper: Dumper, tmp_path: Path) -> None:
    begin, busy = time.perf_counter(), time.process_time()
    counts = dumper.dump(data, Shard())
    ours, busy = time.perf_counter() - begin, time.process_time() - busy
    assert counts is not None
    assert counts["utterances"] == UTTERANCES
    begin = time.perf_counter()
    plain_loop(data, dumper.codebook, tmp_path)
    theirs = time.perf_counter() - begin
    lengths = [
        [len(vector) for _, vector in iter_vectors(scp)]
        for scp in (dumper.exp.units("data") / "units.scp", tmp_path / "plain.scp")
    ]
    assert lengths[0] == lengths[1]
    audio = UTTERANCES * SECONDS
    print(
        f"\ndump-units {audio / ours:.0f} x real time on {dumper.num_jobs} cores "
        f"({2 * audio / busy:.0f} on two that have nothing else to do), "
        f"plain loop {audio / theirs:.0f}: {theirs / ours:.1f} times as fast"
    )
    assert 2 * audio / busy > 200  # by the cores' time, which other programs do not lengthen
    assert theirs / ours > 1.2
