"""Sets of units to text by a trained recogniser or translator, and its scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.stage import Stage
from entcomp.artifacts.streams import check_stream, read_streams, stream_sha256
from entcomp.errors import EntcompError
from entcomp.evaluation.text.metric import TextOptions
from entcomp.evaluation.text.metrics import METRICS
from entcomp.evaluation.text.scores import describe_scores, score_texts
from entcomp.files import sha256_file, write_json
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import read_table, write_table
from entcomp.skipped import describe_utterances
from entcomp.tasks import task_of
from entcomp.tasks.text.config import DecodingConfig
from entcomp.tasks.text.search import TextSearch
from entcomp.tasks.text.train import TrainedTextModel


@dataclass(frozen=True)
class Decoding:
    """A model, the stream that it reads, and how its search differs from the model's config.

    A model that groups units itself reads the ``raw`` ones. ``suffix`` names what is not as in
    training.
    """

    experiment: Experiment
    trained: TrainedTextModel
    segmentation: str
    config: DecodingConfig
    suffix: str
    metric: str  # of `METRICS`

    @classmethod
    def open(
        cls, experiment: Experiment, model: str, segmentation: str | None, **search: float | None
    ) -> Decoding:
        """``model`` is as in ``asr/TAG``; None is as in training. ``search``: see `DecodingConfig`.

        Raises EntcompError if it was not trained there, or with another codebook, and for a task
        that writes no text.
        """
        metric = task_of(model).metric
        if metric is None:
            raise EntcompError(f"{model}: writes no text; decode reads models of asr and st")
        trained = TrainedTextModel.open(experiment, model)
        if search.get("ctc_weight") and not trained.config.ctc_weight:
            raise EntcompError(f"--ctc-weight: {model} was trained without CTC; leave it out")
        known = vars(trained.config.decoding)
        changed = {
            name: value for name, value in search.items() if value not in (None, known[name])
        }
        config = trained.config.decoding.model_copy(update=changed)
        suffix = "".join(f"_{name}{value:g}" for name, value in changed.items())
        segmentation = segmentation or trained.info.segments
        if segmentation != trained.info.segments:
            suffix = f"_{segmentation}{suffix}"
        return cls(experiment, trained, segmentation, config, suffix, metric)

    def decode(self, data_set: DataDir) -> Iterator[str]:
        """Decode and score one set, unless that was done from the same inputs; yields what it did.

        Writes ``decode_<set>`` in the model's folder. Raises EntcompError for units or groups that
        are missing, or of another codebook.
        """
        folder = self.trained.folder / f"decode_{data_set.name}{self.suffix}"
        stream = self.trained.stream_of(self.segmentation)
        check_stream(self.experiment, stream)
        reference = data_set.path / self.trained.info.target
        inputs = {
            "weights_sha256": self.trained.weights_sha256,
            "decoding": self.config.model_dump(),
            "segments": self.segmentation,
            "stream_sha256": stream_sha256(self.experiment, data_set.name, stream),
            "reference_sha256": sha256_file(reference) if reference.exists() else None,
        }
        stage = Stage(folder, inputs, files=("text",), withdrawn=("text", "scores.json"))
        if stage.is_complete():
            yield f"{folder}: complete, skipped"
            return
        if reference.exists():  # the metric may not know the language: said before the search
            METRICS[self.metric]().check_language(self._text_options(reference).lang)
        stage.start()
        hypotheses, rate = self._transcribe(data_set.name, stream)
        write_table(folder / "text", hypotheses.items())
        yield f"{folder}: {len(hypotheses)} utterances, {rate:.2f} groups a second"
        scores = list(self._score(reference, hypotheses, folder, rate))
        yield from scores
        stage.finish({"utterances": len(hypotheses), "rate": rate, "scored": bool(scores)})

    def _transcribe(self, set_name: str, stream: str) -> tuple[dict[str, str], float]:
        """Texts by utterance, and the groups a second of audio that they were made from."""
        trained = self.trained
        search = TextSearch(trained.model, trained.vocabulary, self.config)
        streams = list(read_streams(self.experiment, set_name, stream))
        tokens = [trained.tokens(units, groups) for _, units, groups in streams]
        texts = search.texts(tokens, f"decode {set_name}")
        hypotheses = {utt_id: text for (utt_id, *_), text in zip(streams, texts, strict=True)}
        frames = sum(len(units) for _, units, _ in streams)
        return hypotheses, search.groups / max(frames * trained.info.frame_shift, 1e-9)

    def _text_options(self, reference: Path) -> TextOptions:
        """How texts are scored: in the language of the file ``text.<lang>``, or of the config."""
        text = self.trained.config.vocabulary
        return TextOptions(text.normalizer, reference.suffix[1:] or text.lang, text.nlsyms)

    def _score(
        self, reference: Path, hypotheses: dict[str, str], folder: Path, rate: float
    ) -> Iterator[str]:
        """Write scores.json, and what the metric's own tools read; nothing without a reference."""
        if not reference.exists():
            return
        table = read_table(reference, empty_values=True)
        references = {utt_id: text for utt_id, text in table.items() if utt_id in hypotheses}
        for one, other, lacks in ((table, hypotheses, "units"), (hypotheses, table, "a reference")):
            lacking = [utt_id for utt_id in one if utt_id not in other]
            if line := describe_utterances(lacking, f"without {lacks}", f"without {lacks}"):
                yield f"{folder.name}: not scored: {line}"
        if not references:
            return
        options = self._text_options(reference)
        scores = score_texts(references, hypotheses, self.metric, **vars(options))
        METRICS[self.metric]().write_texts(folder, references, hypotheses, options)
        write_json(folder / "scores.json", {**scores, "rate": rate})
        yield from (f"{folder.name}: {line}" for line in describe_scores(scores, self.metric))
