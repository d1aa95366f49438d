"""The model of units to text: independence of the batch, sizes, CTC, and the search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from entcomp.config import load_config
from entcomp.encoder.local import LocalEncoderConfig
from entcomp.encoder.packed import PackedTokens, group_tokens
from entcomp.errors import EntcompError
from entcomp.tasks.text.config import DecodingConfig, EncoderConfig, TextTaskConfig, default_config
from entcomp.tasks.text.corpus import ctc_length
from entcomp.tasks.text.model import IGNORED, TextBatch, TextModel, build_model, match_parameters
from entcomp.tasks.text.search import TextSearch
from entcomp.tasks.text.vocabulary import Vocabulary

TINY = TextTaskConfig(
    dim=32, parameters=None, local=LocalEncoderConfig(layers=1, token_mixer="self", mixer_heads=2)
)
UNITS, PIECES = 20, 30


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
@pytest.mark.parametrize("kind", ["conformer", "transformer"])
def test_states_do_not_depend_on_padding(kind: str, training: bool) -> None:
    """ESPnet's convolutions see the padding: models trained in batches failed on single texts."""
    changes = {"encoder": EncoderConfig(kind=kind), "dropout": 0.0}  # type: ignore[arg-type]
    model = build_model(TINY.model_copy(update=changes), UNITS, PIECES).train(training)
    together = batch_of([3, 40, 11], [[3]] * 3).source
    states_BMD, lengths_B = model.encode(together)
    tokens = together.tokens_N.split(together.num_tokens_B.tolist())
    for row, one, length in zip(states_BMD, tokens, lengths_B.tolist(), strict=True):
        alone = PackedTokens.pack([group_tokens(one.numpy(), np.full(length, 2), False)])
        expected, _ = model.encode(alone)
        torch.testing.assert_close(row[:length], expected[0], atol=1e-5, rtol=1e-5)


def test_loss_is_a_mean_over_pieces_whatever_the_batch() -> None:
    model = build_model(TINY, UNITS, PIECES).eval()
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
    model, batch = build_model(TINY, UNITS, PIECES).eval(), batch_of([30, 12], [[3, 4], [7]])
    exact = model.loss(batch)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.loss(batch)
    for name in ("attention", "ctc", "loss"):
        assert rough[name].item() == pytest.approx(exact[name].item(), rel=0.03)
    rough["loss"].backward()
    assert all(torch.isfinite(one.grad).all() for one in model.parameters() if one.grad is not None)


def test_ctc_leaves_out_streams_shorter_than_their_text() -> None:
    model = build_model(TINY, UNITS, PIECES).eval()
    short = model.loss(batch_of([3], [[3, 4, 5, 6]]))
    assert short["ctc"].item() == 0 and torch.isfinite(short["loss"])
    repeated = model.loss(batch_of([3], [[3, 3, 4]]))  # needs a blank between the equal ones
    assert repeated["ctc"].item() == 0
    assert model.loss(batch_of([3], [[3, 4, 5]]))["ctc"].item() > 0


@pytest.mark.parametrize(("pieces", "needed"), [([], 0), ([3, 4], 2), ([3, 3], 3), ([3] * 4, 7)])
def test_ctc_length(pieces: list[int], needed: int) -> None:
    assert ctc_length(pieces) == needed


@pytest.mark.parametrize("pooling", ["cale", "max"])
@pytest.mark.parametrize("kind", ["conformer", "transformer"])
@pytest.mark.parametrize(("name", "size"), [("small", 12_000_000), ("paper", 104_000_000)])
def test_every_stream_and_encoder_has_the_same_size(
    repository: Path, name: str, size: int, kind: str, pooling: str
) -> None:
    config = load_config(TextTaskConfig, repository / "conf" / "asr" / f"{name}.yaml")
    encoder = config.encoder.model_copy(update={"kind": kind})
    local = config.local.model_copy(update={"pooling": pooling})
    config = config.model_copy(update={"encoder": encoder, "local": local})
    matched = match_parameters(config, 500, config.vocabulary.size)
    with torch.device("meta"):
        model = TextModel(matched, 500, config.vocabulary.size)
    assert sum(one.numel() for one in model.parameters()) == pytest.approx(size, rel=1e-3)


def test_impossible_sizes_are_errors() -> None:
    for changes in ({"parameters": 1000}, {"dim": 30}, {"encoder": EncoderConfig(kernel=4)}):
        with pytest.raises(EntcompError, match="config: "):
            build_model(TINY.model_copy(update=changes), UNITS, PIECES)


@pytest.mark.parametrize("task", ["asr", "st"])
def test_configs_load_and_small_is_the_default(repository: Path, task: str) -> None:
    folder = repository / "conf" / task
    assert load_config(TextTaskConfig, folder / "small.yaml") == default_config(task)
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


def test_vocabulary_too_small_is_an_error() -> None:
    config = TextTaskConfig().vocabulary.model_copy(update={"size": 4})
    with pytest.raises(EntcompError, match=r"set another vocabulary\.size"):
        Vocabulary.train(["abcdefgh ijklmnop"], config)


def test_search_ends_beyond_the_number_of_groups(vocabulary: Vocabulary) -> None:
    """ESPnet bounds a text by the stream's length: a text of 7 pieces from 2 groups was cut."""
    model = build_model(TINY, UNITS, len(vocabulary)).eval()
    text = vocabulary.encode("bad cab")

    def forced(tgt: torch.Tensor, *_: object, **__: object) -> tuple[torch.Tensor, list]:
        ends = [*text, Vocabulary.eos][min(tgt.shape[1] - 1, len(text))]
        logits = torch.full((len(tgt), len(vocabulary)), -20.0)
        logits[:, ends] = 0.0
        return logits, [torch.zeros(len(tgt), 1)] * len(model.decoder.decoders)

    model.decoder.forward_one_step = forced  # type: ignore[method-assign]
    for ctc_weight, groups in ((0.0, 2), (0.01, 20)):
        search = TextSearch(model, vocabulary, DecodingConfig(beam=2, ctc_weight=ctc_weight))
        assert vocabulary.decode(search.best(torch.zeros(groups, TINY.dim))) == "bad cab"


@pytest.mark.parametrize("ctc_weight", [0.3, 1.0])
@pytest.mark.parametrize("groups", [1, 2, 9])
def test_search_with_ctc_of_streams_shorter_than_their_text(
    vocabulary: Vocabulary, groups: int, ctc_weight: float
) -> None:
    """ESPnet's CTC prefix scores crashed on the first piece beyond the last group."""
    model = build_model(TINY, UNITS, len(vocabulary)).eval()
    with torch.no_grad():
        model.decoder.output_layer.bias[Vocabulary.eos] = -1e4
    search = TextSearch(model, vocabulary, DecodingConfig(beam=2, ctc_weight=ctc_weight))
    assert len(search.best(torch.randn(groups, TINY.dim))) <= groups


def test_search_stops_at_max_tokens(vocabulary: Vocabulary) -> None:
    model = build_model(TINY, UNITS, len(vocabulary)).eval()
    with torch.no_grad():
        model.decoder.output_layer.bias[Vocabulary.eos] = -1e4  # never ends by itself
    config = DecodingConfig(beam=2, ctc_weight=0.0, max_tokens=9)
    found = TextSearch(model, vocabulary, config).best(torch.randn(4, TINY.dim))
    assert len(found) == 9
