"""Text to ids and back, by SentencePiece."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import sentencepiece

from entcomp.errors import EntcompError
from entcomp.files import atomic_path
from entcomp.tasks.text.config import VocabularyConfig


class Vocabulary:
    """The pieces of a text model; id 0 is CTC's blank, ``eos`` both begins and ends a text."""

    blank, unknown, eos = 0, 1, 2

    def __init__(self, model: bytes) -> None:
        self.model = model
        self.pieces = sentencepiece.SentencePieceProcessor(model_proto=model)

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Raises EntcompError for a missing file, and for no model of SentencePiece's."""
        if not path.exists():
            raise EntcompError(f"{path}: no such file; train the model to its end")
        try:
            found = cls(path.read_bytes())
            found.encode("")  # an empty file is loaded, and fails when it is used
            return found
        except RuntimeError:
            raise EntcompError(
                f"{path}: not a model of SentencePiece's; train the model again"
            ) from None

    def save(self, path: Path) -> None:
        """Write a file that SentencePiece can read."""
        with atomic_path(path) as temporary:
            temporary.write_bytes(self.model)

    def __len__(self) -> int:
        return self.pieces.get_piece_size()

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without ``eos``."""
        return self.pieces.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; a lone space among them makes no second one."""
        return " ".join(self.pieces.decode([int(one) for one in ids]).split())

    @classmethod
    def train(cls, texts: Iterable[str], config: VocabularyConfig) -> Vocabulary:
        """Learn pieces; the same texts give the same bytes, in every process.

        Raises EntcompError if the texts need more pieces than ``config.size``.
        """
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(draw_texts(texts, config.max_texts)),
                model_writer=model,
                model_type=config.kind,
                vocab_size=config.size,
                hard_vocab_limit=False,
                character_coverage=config.character_coverage,
                input_sentence_size=config.max_texts,
                shuffle_input_sentence=True,  # of none: there are no more; its bytes have this
                normalization_rule_name="identity",
                pad_id=cls.blank,
                unk_id=cls.unknown,
                eos_id=cls.eos,
                bos_id=-1,
                num_threads=1,
                minloglevel=2,
            )
        except RuntimeError as error:
            reason = str(error).rpartition("]")[2].strip() or str(error)
            raise EntcompError(
                f"vocabulary of {config.size} {config.kind} pieces: {reason}; "
                f"set another vocabulary.size in the config"
            ) from None
        return cls(model.getvalue())


def draw_texts(texts: Iterable[str], count: int) -> list[str]:
    """``count`` of the texts, or all where there are no more; each is as likely.

    SentencePiece draws others in every process: no two ranks would have the same pieces.
    """
    rng = np.random.default_rng(0)
    drawn: list[str] = []
    for number, text in enumerate(texts):
        if number < count:
            drawn.append(text)
        elif (place := int(rng.integers(number + 1))) < count:
            drawn[place] = text
    return drawn
