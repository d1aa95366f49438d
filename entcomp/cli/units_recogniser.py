"""A recogniser or translator that was trained on units: the whole path from audio to words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from entcomp.experiment import Experiment
    from entcomp.segmentation.rule import Rule
    from entcomp.tasks.text.search import TextSearch
    from entcomp.tokenizer import Tokenized, Tokenizer


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
        from entcomp.tasks.text.search import TextSearch
        from entcomp.tasks.text.train import TrainedTextModel
        from entcomp.tokenizer import Tokenizer

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
        from entcomp.scoring.speaker import SAMPLE_RATE

        return self.read(self.tokenizer.encode(waveform, SAMPLE_RATE, rule=self.rule))

    def read(self, found: Tokenized) -> str:
        """The words in a recording's groups."""
        from entcomp.encoder.packed import group_tokens

        tokens = group_tokens(found.units, found.groups, self.merge_runs)
        (text,) = self.search.transcribe([tokens])
        return text
