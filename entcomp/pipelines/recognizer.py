"""A recogniser or translator that was trained on units: the whole path from audio to words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from entcomp.artifacts.experiment import Experiment
    from entcomp.pipelines.tokenizer import Tokenized, Tokenizer
    from entcomp.segmentation.rule import Rule
    from entcomp.tasks.text.search import TextSearch


@dataclass(frozen=True)
class UnitsRecogniser:
    """``key`` names the columns, ``name`` the model."""

    key: str
    name: str
    tokenizer: Tokenizer
    rule: Rule
    search: TextSearch
    merge_runs: bool

    @classmethod
    def open(
        cls,
        experiment: Experiment,
        model: str,
        checkpoint: Path | None,
        choose: Callable[[Tokenizer], Rule] | None = None,
    ) -> UnitsRecogniser:
        """``asr/TAG`` or ``st/TAG`` of an experiment; ``choose`` finds other groups for it.

        Raises EntcompError if it was not trained there.
        """
        from entcomp.files import sha256_file
        from entcomp.pipelines.tokenizer import Tokenizer
        from entcomp.tasks.text.search import TextSearch
        from entcomp.tasks.text.train import TrainedTextModel

        trained = TrainedTextModel.load(experiment.path / model)
        trained.info.check_units(experiment.units_info(), trained.folder)
        tokenizer = Tokenizer.open(experiment, checkpoint)
        return cls(
            key=trained.folder.name,
            name=f"{model} {sha256_file(trained.folder / 'model.safetensors')[:12]}",
            tokenizer=tokenizer,
            rule=choose(tokenizer) if choose else tokenizer.stored_rule(trained.info.segments),
            search=TextSearch(trained.model, trained.vocabulary, trained.config.decoding),
            merge_runs=trained.config.merge_runs,
        )

    def transcribe(self, waveform: np.ndarray) -> str:
        """The words in (samples,) at 16 kHz."""
        from entcomp.evaluation.voices.speaker import SAMPLE_RATE

        (text,) = self.read([self.tokenizer.encode(waveform, SAMPLE_RATE, rule=self.rule)])
        return text

    def read(self, found: Sequence[Tokenized]) -> list[str]:
        """The words in each recording's groups, in batches of similar length."""
        from entcomp.encoder.packed import group_tokens

        streams = [group_tokens(one.units, one.groups, self.merge_runs) for one in found]
        texts: dict[int, str] = {}
        for batch in self.search.batches(streams):
            read = self.search.transcribe([streams[one] for one in batch])
            texts |= zip(batch, read, strict=True)
        return [texts[one] for one in range(len(streams))]
