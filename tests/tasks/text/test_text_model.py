"""The model of units to text: independence of the batch, sizes, CTC, and the search."""

from __future__ import annotations

import itertools
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from espnet.nets.batch_beam_search import BatchBeamSearch, BatchHypothesis
from espnet.nets.scorers.ctc import CTCPrefixScorer
from espnet.nets.scorers.length_bonus import LengthBonus

from entcomp.config import load_config
from entcomp.encoder.local import LocalEncoderConfig
from entcomp.encoder.packed import PackedTokens, group_tokens, length_mask
from entcomp.errors import EntcompError
from entcomp.tasks import TASKS
from entcomp.tasks.text.attention import RelativeAttention
from entcomp.tasks.text.config import (
    DecodingConfig,
    EncoderConfig,
    TextTaskConfig,
    VocabularyConfig,
)
from entcomp.tasks.text.corpus import ctc_length
from entcomp.tasks.text.decoder_steps import DecoderSteps
from entcomp.tasks.text.espnet_parts import RelPositionMultiHeadedAttention, end_detect
from entcomp.tasks.text.model import IGNORED, TextBatch, TextModel, build_model, match_parameters
from entcomp.tasks.text.search import TextSearch
from entcomp.tasks.text.vocabulary import Vocabulary, draw_texts

TINY = TextTaskConfig(
    dim=32, parameters=None, local=LocalEncoderConfig(layers=1, token_mixer="self", mixer_heads=2)
)
UNITS, PIECES = 20, 30
FRAME_SHIFT = 0.02  # s


def batch_of(lengths: list[int], targets: list[list[int]]) -> TextBatch:
    generator = np.random.default_rng(0)
    utterances = [
        group_tokens(generator.integers(0, UNITS, 2 * length), np.full(length, 2), False)
        for length in lengths
    ]
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(one) for one in targets], True, IGNORED)
    return TextBatch(
        PackedTokens.pack(utterances), padded, torch.tensor([len(one) for one in targets])
    )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", ["conformer", "transformer", "none"])
def test_states_do_not_depend_on_padding(kind: str, training: bool) -> None:
    """ESPnet's convolutions see the padding: models trained in batches failed on single texts."""
    changes = {"encoder": EncoderConfig(kind=kind), "dropout": 0.0}  # type: ignore[arg-type]
    model = build_model(TINY.model_copy(update=changes), UNITS, PIECES, FRAME_SHIFT).train(training)
    together = batch_of([3, 40, 11], [[3]] * 3).source
    states_BMD, lengths_B = model.encode(together)
    tokens = together.tokens_N.split(together.num_tokens_B.tolist())
    for row, one, length in zip(states_BMD, tokens, lengths_B.tolist(), strict=True):
        alone = PackedTokens.pack([group_tokens(one.numpy(), np.full(length, 2), False)])
        expected, _ = model.encode(alone)
        torch.testing.assert_close(row[:length], expected[0], atol=1e-5, rtol=1e-5)


def test_without_an_encoder_the_decoder_knows_the_order_of_groups() -> None:
    changes = {"encoder": EncoderConfig(kind="none"), "ctc_weight": 0.0, "dropout": 0.0}
    model = build_model(TINY.model_copy(update=changes), UNITS, PIECES, FRAME_SHIFT).eval()
    units = np.arange(8) % UNITS
    losses = []
    for order in (units, units[::-1]):
        source = PackedTokens.pack([group_tokens(order, np.full(4, 2), False)])
        batch = TextBatch(source, torch.tensor([[3, 4]]), torch.tensor([2]))
        losses.append(model.loss(batch)["loss"].item())
    assert losses[0] != pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize("groups", [1, 2, 9])
def test_relative_attention_is_espnets(groups: int) -> None:
    torch.manual_seed(0)
    theirs, ours = RelPositionMultiHeadedAttention(2, 8, 0.0), RelativeAttention(2, 8, 0.0)
    ours.load_state_dict(theirs.state_dict())
    places_1RD = torch.randn(1, 2 * groups - 1, 8)
    mask_B1T = length_mask(torch.tensor([groups, (groups + 1) // 2]))[:, None]
    x_BTD, gradient_BTD = torch.randn(2, 2, groups, 8)
    found = []
    for attention in (theirs, ours):
        leaf = x_BTD.clone().requires_grad_()
        y_BTD = attention(leaf, leaf, leaf, places_1RD, mask_B1T)
        y_BTD.backward(gradient_BTD)
        found.append([y_BTD, leaf.grad, *(one.grad for one in attention.parameters())])
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-5)


def test_loss_is_a_mean_over_pieces_whatever_the_batch() -> None:
    model = build_model(TINY, UNITS, PIECES, FRAME_SHIFT).eval()
    lengths, targets = [30, 12, 20], [[3, 4, 5, 6], [7, 7], [8, 9, 3]]
    together = model.loss(batch_of(lengths, targets))
    generator = np.random.default_rng(0)
    sums = {"attention": 0.0, "ctc": 0.0, "accuracy": 0.0}
    for length, target in zip(lengths, targets, strict=True):
        units = generator.integers(0, UNITS, 2 * length)
        source = PackedTokens.pack([group_tokens(units, np.full(length, 2), False)])
        single = TextBatch(source, torch.tensor([target]), torch.tensor([len(target)]))
        values = model.loss(single)
        for name in sums:
            sums[name] += values[name].item() * values["count"].item()
    assert together["count"] == 12  # pieces, and an end for each text
    for name, total in sums.items():
        assert together[name].item() == pytest.approx(total / 12, rel=1e-4)
    mixed = 0.7 * together["attention"] + 0.3 * together["ctc"]
    torch.testing.assert_close(together["loss"], mixed)


def test_loss_in_half_precision() -> None:
    model, batch = (
        build_model(TINY, UNITS, PIECES, FRAME_SHIFT).eval(),
        batch_of([30, 12], [[3, 4], [7]]),
    )
    exact = model.loss(batch)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.loss(batch)
    for name in ("attention", "ctc", "loss"):
        assert rough[name].item() == pytest.approx(exact[name].item(), rel=0.03)
    rough["loss"].backward()
    assert all(torch.isfinite(one.grad).all() for one in model.parameters() if one.grad is not None)


def test_ctc_leaves_out_streams_shorter_than_their_text() -> None:
    model = build_model(TINY, UNITS, PIECES, FRAME_SHIFT).eval()
    short = model.loss(batch_of([3], [[3, 4, 5, 6]]))
    assert short["ctc"].item() == 0 and torch.isfinite(short["loss"])
    repeated = model.loss(batch_of([3], [[3, 3, 4]]))  # needs a blank between the equal ones
    assert repeated["ctc"].item() == 0
    assert model.loss(batch_of([3], [[3, 4, 5]]))["ctc"].item() > 0


@pytest.mark.parametrize(("pieces", "needed"), [([], 0), ([3, 4], 2), ([3, 3], 3), ([3] * 4, 7)])
def test_ctc_length(pieces: list[int], needed: int) -> None:
    assert ctc_length(pieces) == needed


@pytest.mark.parametrize("pooling", ["cale", "max"])
@pytest.mark.parametrize("kind", ["conformer", "transformer", "none"])
@pytest.mark.parametrize(("name", "size"), [("small", 12_000_000), ("paper", 104_000_000)])
def test_every_stream_and_encoder_has_the_same_size(
    repository: Path, name: str, size: int, kind: str, pooling: str
) -> None:
    config = load_config(TextTaskConfig, repository / "conf" / "asr" / f"{name}.yaml")
    encoder = config.encoder.model_copy(update={"kind": kind})
    local = config.local.model_copy(update={"pooling": pooling})
    config = config.model_copy(update={"encoder": encoder, "local": local})
    matched = match_parameters(config, 500, config.vocabulary.size, FRAME_SHIFT)
    with torch.device("meta"):
        model = TextModel(matched, 500, config.vocabulary.size, FRAME_SHIFT)
    assert sum(one.numel() for one in model.parameters()) == pytest.approx(size, rel=1e-3)


def test_impossible_sizes_are_errors() -> None:
    for changes in ({"parameters": 1000}, {"dim": 30}, {"encoder": EncoderConfig(kernel=4)}):
        with pytest.raises(EntcompError, match="config: "):
            build_model(TINY.model_copy(update=changes), UNITS, PIECES, FRAME_SHIFT)


@pytest.mark.parametrize("task", ["asr", "st"])
def test_configs_load_and_small_is_the_default(repository: Path, task: str) -> None:
    folder = repository / "conf" / task
    assert load_config(TextTaskConfig, folder / "small.yaml") == TASKS[task].default_config()
    for path in folder.glob("*.yaml"):
        load_config(TextTaskConfig, path)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    config = TextTaskConfig().vocabulary.model_copy(update={"kind": "char"})
    return Vocabulary.train(["a cab", "bad bed"], config)


def test_vocabulary_round_trip_and_same_bytes(vocabulary: Vocabulary, tmp_path: Path) -> None:
    config = TextTaskConfig().vocabulary.model_copy(update={"kind": "char"})
    again = Vocabulary.train(["a cab", "bad bed"], config)
    assert again.model == vocabulary.model
    vocabulary.save(tmp_path / "text.model")
    loaded = Vocabulary.load(tmp_path / "text.model")
    ids = loaded.encode("bad cab")
    assert loaded.decode(ids) == "bad cab"
    assert not {Vocabulary.blank, Vocabulary.eos} & set(ids)


def test_a_large_text_is_learnt_from_a_sample() -> None:
    """SentencePiece would hold all texts of a large corpus in memory."""
    config = VocabularyConfig(kind="char", max_texts=200)
    texts = ["".join(pair) for pair in itertools.product(string.ascii_lowercase, repeat=2)]
    once, again = Vocabulary.train(texts, config), Vocabulary.train(iter(texts), config)
    everything = Vocabulary.train(texts, VocabularyConfig(kind="char"))
    assert once.model == again.model  # all ranks draw the same
    assert scores(once) != scores(everything)
    sample_is_all = Vocabulary.train(texts, VocabularyConfig(kind="char", max_texts=len(texts)))
    assert scores(sample_is_all) == scores(everything)


def test_every_process_drew_other_texts_for_its_pieces() -> None:
    """So ranks had other pieces."""
    code = """
import itertools, string, sys
from entcomp.tasks.text.config import VocabularyConfig
from entcomp.tasks.text.vocabulary import Vocabulary
texts = map("".join, itertools.product(string.ascii_lowercase, repeat=2))
vocabulary = Vocabulary.train(texts, VocabularyConfig(kind="char", max_texts=200))
sys.stdout.buffer.write(vocabulary.model)
"""
    command = [sys.executable, "-c", code]
    one, other = (subprocess.run(command, capture_output=True, check=True) for _ in range(2))
    assert one.stdout == other.stdout


def test_texts_are_drawn_alike_from_everywhere() -> None:
    drawn = draw_texts((str(number) for number in range(10_000)), 2_000)
    assert len(set(drawn)) == 2_000
    assert np.mean([int(one) for one in drawn]) == pytest.approx(5_000, abs=300)
    assert draw_texts(iter("abc"), 3) == ["a", "b", "c"]


def scores(vocabulary: Vocabulary) -> list[tuple[str, float]]:
    pieces = vocabulary.pieces
    return [(pieces.id_to_piece(one), pieces.get_score(one)) for one in range(len(pieces))]


def test_vocabulary_too_small_is_an_error() -> None:
    config = TextTaskConfig().vocabulary.model_copy(update={"size": 4})
    with pytest.raises(EntcompError, match=r"set another vocabulary\.size"):
        Vocabulary.train(["abcdefgh ijklmnop"], config)


def test_search_ends_beyond_the_number_of_groups(
    vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ESPnet bounds a text by the stream's length: a text of 7 pieces from 2 groups was cut."""
    model = build_model(TINY, UNITS, len(vocabulary), FRAME_SHIFT).eval()
    text = vocabulary.encode("bad cab")

    def forced(_: DecoderSteps, pieces_NL: torch.Tensor) -> torch.Tensor:
        ends = [*text, Vocabulary.eos][min(pieces_NL.shape[1] - 1, len(text))]
        logits = torch.full((len(pieces_NL), len(vocabulary)), -20.0)
        logits[:, ends] = 0.0
        return logits

    monkeypatch.setattr(DecoderSteps, "__call__", forced)
    for ctc_weight, groups in ((0.0, 2), (0.01, 20)):
        search = TextSearch(model, vocabulary, DecodingConfig(beam=2, ctc_weight=ctc_weight))
        (found,) = search.best(torch.zeros(1, groups, TINY.dim), torch.tensor([groups]))
        assert vocabulary.decode(found) == "bad cab"


@pytest.mark.parametrize("ctc_weight", [0.3, 1.0])
def test_search_with_ctc_of_streams_shorter_than_their_text(
    vocabulary: Vocabulary, ctc_weight: float
) -> None:
    """ESPnet's CTC prefix scores crashed on the first piece beyond the last group."""
    model = build_model(TINY, UNITS, len(vocabulary), FRAME_SHIFT).eval()
    with torch.no_grad():
        model.decoder.output_layer.bias[Vocabulary.eos] = -1e4
    search = TextSearch(model, vocabulary, DecodingConfig(beam=2, ctc_weight=ctc_weight))
    for groups in ([1], [2], [9], [9, 1, 2]):
        states_BMD = torch.randn(len(groups), max(groups), TINY.dim)
        found = search.best(states_BMD, torch.tensor(groups))
        assert all(len(one) <= most for one, most in zip(found, groups, strict=True))


def test_search_stops_at_max_tokens(vocabulary: Vocabulary) -> None:
    model = build_model(TINY, UNITS, len(vocabulary), FRAME_SHIFT).eval()
    with torch.no_grad():
        model.decoder.output_layer.bias[Vocabulary.eos] = -1e4  # never ends by itself
    config = DecodingConfig(beam=2, ctc_weight=0.0, max_tokens=9)
    search = TextSearch(model, vocabulary, config)
    (found,) = search.best(torch.randn(1, 4, TINY.dim), torch.tensor([4]))
    assert len(found) == 9


@pytest.mark.parametrize("ctc_weight", [0.0, 0.3])
def test_search_of_a_given_number_of_pieces(vocabulary: Vocabulary, ctc_weight: float) -> None:
    model = build_model(TINY, UNITS, len(vocabulary), FRAME_SHIFT).eval()
    search = TextSearch(model, vocabulary, DecodingConfig(ctc_weight=ctc_weight, max_tokens=3))
    found = search.best(torch.randn(2, 9, TINY.dim), torch.tensor([9, 4]), exactly=6)
    assert [len(one) for one in found] == [6, 4 if ctc_weight else 6]
    assert Vocabulary.eos not in found[0] + found[1]


class EspnetSearch(BatchBeamSearch):
    """ESPnet's search of one utterance, which ends as ours does."""

    def post_process(self, i: int, *arguments: Any) -> BatchHypothesis:
        running, ended = super().post_process(i, *arguments), arguments[-1]
        over = end_detect([one.asdict() for one in ended], i)
        return BatchHypothesis() if over else running


@pytest.mark.parametrize(
    "changes",
    [
        {"ctc_weight": 0.3},
        {"ctc_weight": 0.3, "length_bonus": 1.5},
        {"ctc_weight": 0.0, "max_tokens": 12},
        {"ctc_weight": 1.0, "beam": 2},
        {"ctc_weight": 0.5, "beam": 1},
    ],
)
def test_search_finds_what_espnet_finds_one_by_one(
    vocabulary: Vocabulary, changes: dict[str, Any]
) -> None:
    config = DecodingConfig(**{"beam": 4, **changes})
    model = build_model(TINY, UNITS, len(vocabulary), FRAME_SHIFT).eval()
    torch.nn.init.normal_(model.decoder.output_layer.weight)  # else all texts are as likely
    torch.nn.init.normal_(model.ctc.ctc_lo.weight)
    torch.nn.init.constant_(model.decoder.output_layer.bias[Vocabulary.eos], -3)  # longer texts
    espnet = EspnetSearch(
        scorers={
            "decoder": model.decoder,
            "ctc": CTCPrefixScorer(model.ctc, Vocabulary.eos),
            "length_bonus": LengthBonus(len(vocabulary)),
        },
        weights={
            "decoder": 1 - config.ctc_weight,
            "ctc": config.ctc_weight,
            "length_bonus": config.length_bonus,
        },
        beam_size=config.beam,
        vocab_size=len(vocabulary),
        sos=Vocabulary.eos,
        eos=Vocabulary.eos,
        pre_beam_score_key="full" if config.ctc_weight < 1 else None,
    )
    lengths_B = torch.tensor([7, 25, 12, 1, 25])
    states_BMD = torch.randn(5, 25, TINY.dim)
    found = TextSearch(model, vocabulary, config).best(states_BMD, lengths_B)
    lengths = set()
    for pieces, states_MD, length in zip(found, states_BMD, lengths_B.tolist(), strict=True):
        longest = min(length, config.max_tokens) if config.ctc_weight else config.max_tokens
        with torch.inference_mode():
            expected = espnet(states_MD[:length], maxlenratio=-float(longest))
        # At its last step, it adds another end to a text that has ended.
        assert pieces == [one for one in expected[0].yseq.tolist() if one != Vocabulary.eos]
        lengths.add(len(pieces))
    assert len(lengths) > 1  # they ended at different steps
