"""Train a recogniser or translator, and read it back."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.models import checked_weights
from entcomp.config import load_config
from entcomp.encoder.local import embeddings_inputs
from entcomp.encoder.packed import GroupedTokens, group_tokens
from entcomp.errors import EntcompError
from entcomp.tasks import task_of
from entcomp.tasks.text.config import TextTaskConfig
from entcomp.tasks.text.corpus import Corpus, ctc_length
from entcomp.tasks.text.data import TextBatches
from entcomp.tasks.text.info import TextInfo
from entcomp.tasks.text.model import TextModel, build_model
from entcomp.tasks.text.vocabulary import Vocabulary
from entcomp.training.description import write_description
from entcomp.training.evaluation import training_device
from entcomp.training.loop import FitResult, fit
from entcomp.training.ranks import is_first_rank
from entcomp.training.weights import load_model

# Of the entropy of pieces by their frequency: CTC above this share of it has learnt nothing else.
STUCK = 0.9


def train_text_model(
    folder: Path,
    info: TextInfo,
    config: TextTaskConfig,
    train: Corpus,
    dev: Corpus,
    vectors_KF: np.ndarray | None = None,
    start: TrainedTextModel | None = None,
) -> FitResult:
    """Train in ``folder``, or continue where a killed run stopped; prints what it found.

    ``vectors_KF`` (K, features) are what the embeddings are to begin from, if not at random;
    ``start`` is a model that all weights are to begin from, those of text pieces if it has the same
    pieces. Raises EntcompError if no stream is long enough for CTC, if ``start`` is of another
    size, and for what `fit` does.
    """
    vocabulary = Vocabulary.train((text for _, text in train.utterances), config.vocabulary)
    if config.ctc_weight > 0:
        _check_ctc(train, vocabulary)
    model = build_model(config, info.num_clusters, len(vocabulary), info.frame_shift)
    if start is not None:
        model.start_from(start.model, start.folder, start.vocabulary.model == vocabulary.model)
    elif vectors_KF is not None:
        model.start_from_vectors(torch.from_numpy(vectors_KF))
    size = sum(one.numel() for one in model.parameters())
    print(f"{folder}: {size / 1e6:.2f} M parameters, {len(vocabulary)} text pieces")
    batches, dev_batches = (
        TextBatches(corpus, vocabulary, config, mask=info.num_clusters) for corpus in (train, dev)
    )
    inputs = {
        "task": asdict(info),
        "model": _model_inputs(config),
        "vocabulary_sha256": hashlib.sha256(vocabulary.model).hexdigest(),
        "train_sha256": train.sha256,
        "dev_sha256": dev.sha256,
    }
    inputs |= embeddings_inputs(config.local, vectors_KF)
    if start is not None:
        inputs["init_sha256"] = start.weights_sha256
    result = fit(model, batches, dev_batches.in_order(), config.training, folder, inputs)
    if is_first_rank():
        _warn_if_stuck(folder, result, dev, vocabulary)
        vocabulary.save(folder / "text.model")
    write_description(folder, config, info)
    return result


@dataclass(frozen=True)
class TrainedTextModel:
    """What `train_text_model` left in ``folder``; ``weights_sha256`` names its weights."""

    folder: Path
    info: TextInfo
    config: TextTaskConfig
    vocabulary: Vocabulary
    model: TextModel
    weights_sha256: str

    @classmethod
    def open(cls, experiment: Experiment, model: str) -> TrainedTextModel:
        """``model`` is as in ``asr/TAG``.

        Raises EntcompError as `load`, for other units, and for a task that writes no text.
        """
        if task_of(model).metric is None:
            raise EntcompError(f"{model}: writes no text; name a recogniser or translator")
        trained = cls.load(experiment.path / model)
        trained.info.check_units(experiment.units_info(), trained.folder)
        return trained

    @classmethod
    def load(cls, folder: Path) -> TrainedTextModel:
        """Raises EntcompError if there is none, or if its training has not ended."""
        info = TextInfo.read(folder)
        config = load_config(TextTaskConfig, folder / "config.yaml")
        vocabulary = Vocabulary.load(folder / "text.model")
        weights, sha256 = checked_weights(folder)
        sizes = info.num_clusters, len(vocabulary), info.frame_shift
        model = load_model(lambda: build_model(config, *sizes), weights)
        return cls(folder, info, config, vocabulary, model.to(training_device()).eval(), sha256)

    def stream_of(self, segmentation: str) -> str:
        """What it reads of an experiment: units that it groups itself are ``raw`` ones.

        Raises EntcompError where it groups units itself, and other groups than its own are named.
        """
        if self.config.boundaries is None:
            return segmentation
        if segmentation != self.info.segments:
            raise EntcompError(self._grouping(f"--segmentation {segmentation}"))
        return "raw"

    def tokens(self, units: np.ndarray, groups: np.ndarray) -> GroupedTokens:
        """What it reads of an utterance: units (frames,) in groups (G,), lengths in frames.

        Raises EntcompError as `stream_of`: its own groups are not made yet, each unit is alone.
        """
        if self.config.boundaries and len(groups) != len(units):
            raise EntcompError(self._grouping("rate, criterion and segmentation"))
        return group_tokens(units, groups, self.config.merge_runs)

    def _grouping(self, options: str) -> str:
        return f"{self.folder}: groups units by its own predictor; leave out {options}"


def _model_inputs(config: TextTaskConfig) -> dict[str, Any]:
    """What the weights depend on; keys that came later are left out where they say nothing."""
    later = set() if config.boundaries else {"boundaries"}
    return config.model_dump(mode="json", exclude={"training", "decoding"} | later)


def _warn_if_stuck(folder: Path, result: FitResult, dev: Corpus, vocabulary: Vocabulary) -> None:
    """Say so where CTC does no better than pieces by their frequency, whatever the units are.

    A training may stay at that for long, most of all of long streams; its text then follows from
    the decoder's language model alone.
    """
    texts = [vocabulary.encode(text) for _, text in dev.utterances]
    counts = np.bincount([piece for text in texts for piece in text])
    share = counts[counts > 0] / counts.sum()
    pieces = counts.sum() / (counts.sum() + len(texts))  # the loss is a mean over these and eos
    unigram = -float((share * np.log(share)).sum() * pieces)
    ctc = result.metrics["ctc"]
    if ctc > STUCK * unigram:
        print(
            f"{folder}: warning: CTC has not learnt from the units: {ctc:.2f} nats a piece on dev, "
            f"{unigram:.2f} by the frequency of pieces alone; train longer, with another --seed, "
            "with a larger batch_frames, or of shorter streams"
        )


def _check_ctc(corpus: Corpus, vocabulary: Vocabulary) -> None:
    """Count the streams with fewer groups than their text needs: CTC cannot learn from these."""
    short, first = 0, ""
    for stream, text in corpus.utterances:
        if len(stream.groups) < ctc_length(vocabulary.encode(text)):
            short, first = short + 1, first or stream.utt_id
    remedy = "take a higher rate or a larger vocabulary.size, or set ctc_weight: 0"
    one_rate = corpus.draw is None
    if one_rate and short == len(corpus):
        raise EntcompError(
            f"training set: every stream is shorter than its text (utterance {first}, and "
            f"{short - 1} more), so CTC has nothing to learn; {remedy}"
        )
    if short:
        where = "" if one_rate else " at the lowest rate"
        print(
            f"{short} of {len(corpus)} streams are shorter than their text{where} and are trained "
            f"without CTC ({first} is the first); if they are many, {remedy}"
        )
