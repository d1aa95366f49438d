"""Models on the hub: pushed, opened by name, from its cache, and refused, by a local server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
import yaml
from babbling import RATE, babble
from command_line import run
from hub_server import TOKEN, Hub, Repository, running_hub
from tiny_pipeline import TAG, add_converter, add_recogniser, make_pipeline
from waiting import LOST

from entcomp.artifacts.experiment import Experiment

ENTCOMP = "from entcomp.cli.app import main; main()"
OPEN = (
    "import sys; from entcomp.pipelines.hub import open_model; from entcomp.errors import *\n"
    "try: print(open_model(sys.argv[1], len(sys.argv) > 2).experiment.path)\n"
    "except EntcompError as error: sys.exit(f'entcomp: error: {error}')"
)


class Machine:
    """A user's: with a cache and, perhaps, a token of its own, the hub being the test's."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self.hub, self.folder = hub, folder
        folder.mkdir()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(folder / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def python(self, code: str, *words: object, **environment: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, words)],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=LOST,
        )
        return done.returncode, done.stdout, done.stderr

    def open(self, *words: str, **environment: str) -> Path:
        code, out, err = self.python(OPEN, *words, **environment)
        assert code == 0, err
        return Path(out.strip())

    def refused(self, *words: str, **environment: str) -> str:
        """The last line of the error, which is the message."""
        code, _, err = self.python(OPEN, *words, **environment)
        assert code == 1 and "Traceback" not in err, err
        return err.splitlines()[-1]

    def push(self, *words: object, token: str = TOKEN) -> tuple[int, str, str]:
        return self.python(ENTCOMP, "push", *words, HF_TOKEN=token)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    experiment = make_pipeline(tmp_path_factory.mktemp("pipeline"))
    add_recogniser(experiment, "asr")
    add_recogniser(experiment, "st")
    add_converter(experiment)
    return experiment


@pytest.fixture(scope="module")
def pushed(made: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub with ``anna/tiny``, by `entcomp push`, and an empty ``anna/other``."""
    with running_hub() as hub:
        machine = Machine(hub, tmp_path_factory.mktemp("anna") / "home")
        code, out, err = machine.push(
            *(made.path, "anna/tiny", "--model", "asr/tiny", "--license", "cc-by-4.0")
        )
        assert code == 0, err
        assert out == f"{hub.url}/anna/tiny\n"
        hub.repositories["anna/other"] = Repository()
        hub.repositories["anna/other"].commit({"model.bin": b"another library's"})
        hub.repositories["anna/gated"] = Repository(gated=True)
        yield hub


@pytest.fixture
def machine(pushed: Hub, tmp_path: Path) -> Machine:
    return Machine(pushed, tmp_path / "home")


def test_one_commit_has_the_model_and_its_card(pushed: Hub) -> None:
    repository = pushed.repositories["anna/tiny"]
    assert len(repository.commits) == 2, "the hub's own, and ours"
    found = repository.files("main")
    assert found is not None
    files = found[1]
    manifest = json.loads(files["manifest.json"])
    assert {".gitattributes", "manifest.json", *manifest["files"]} == files.keys()
    assert {"asr/tiny/model.safetensors", "lm/model.onnx"} <= manifest["files"].keys()
    assert pushed.modes["lm/model.onnx"] == "lfs" and pushed.modes["lm/lm.json"] == "regular"
    start, header, card = files["README.md"].decode().split("---\n", 2)
    assert start == ""
    assert yaml.safe_load(header) == {
        "library_name": "entcomp",
        "tags": ["audio", "speech", "speech-units", "mfcc", "automatic-speech-recognition"],
        "pipeline_tag": "automatic-speech-recognition",
        "license": "cc-by-4.0",
    }
    assert card.startswith("\n# tiny\n") and "## Units" in card and "## asr/tiny" in card


def test_it_tokenizes_and_transcribes_as_the_experiment_does(
    machine: Machine, made: Experiment
) -> None:
    wav = machine.folder / "a.wav"
    soundfile.write(wav, babble(2.0, 11), RATE)
    for command in (["tokenize", "--segmentation", TAG], ["transcribe"]):
        call = [*command, wav, "--model"]
        expected = run(*call, made.path)
        assert expected[0] == 0, expected[2]
        assert machine.python(ENTCOMP, *call, "anna/tiny")[:2] == expected[:2]
    fresh = machine.python(ENTCOMP, "-q", *call, "anna/tiny", HF_HUB_CACHE="elsewhere")
    assert fresh == (0, expected[1], "")
    offline = machine.python(ENTCOMP, *call, "anna/tiny/asr/tiny", HF_HUB_OFFLINE="1")
    assert offline[:2] == expected[:2]


def test_it_converts_and_translates_as_the_experiment_does(
    machine: Machine, made: Experiment
) -> None:
    """`convert` knew models by their experiment's folder alone."""
    assert machine.push(made.path, "anna/voice", "--model", "vc/tiny")[0] == 0
    assert machine.push(made.path, "anna/spanish", "--model", "st/tiny")[0] == 0
    wav, voice = machine.folder / "a.wav", machine.folder / "voice.wav"
    soundfile.write(wav, babble(1.0, 11), RATE)
    soundfile.write(voice, babble(2.0, 12), RATE)
    call = ["convert", wav, "--reference", voice, "--vocoder", "griffin-lim", "-o"]
    code, _, err = run(*call, machine.folder / "expected.wav", made.path)
    assert code == 0, err
    expected = (machine.folder / "expected.wav").read_bytes()
    for name, exp in (("anna/voice", ""), ("anna/voice/vc/tiny", ""), ("anna/voice", "elsewhere")):
        code, _, err = machine.python(ENTCOMP, *call, "b.wav", "--model", name, ENTCOMP_EXP=exp)
        assert code == 0, err
        assert (machine.folder / "b.wav").read_bytes() == expected
        (machine.folder / "b.wav").unlink()
    call = ["translate", wav, "--model"]
    assert machine.python(ENTCOMP, *call, "anna/spanish")[:2] == run(*call, made.path)[:2]


def test_classes_and_info_open_names_of_the_hub(machine: Machine, made: Experiment) -> None:
    for name, model in (("anna/voice", "vc/tiny"), ("anna/spanish", "st/tiny")):
        assert machine.push(made.path, name, "--model", model)[0] == 0
    code, out, err = machine.python(
        "import entcomp\n"
        "for local in (False, True):\n"
        "    for kind, name in (('Tokenizer', 'tiny'), ('StreamingTokenizer', 'tiny'),\n"
        "                       ('Recognizer', 'tiny'), ('Translator', 'spanish'),\n"
        "                       ('VoiceConverter', 'voice')):\n"
        "        open = getattr(entcomp, kind).from_pretrained\n"
        "        print(type(open(f'anna/{name}', local_files_only=local)).__name__)"
    )
    assert code == 0, err
    kinds = ["Tokenizer", "StreamingTokenizer", "Recognizer", "Translator", "VoiceConverter"]
    assert out.split() == 2 * kinds
    code, out, err = machine.python(ENTCOMP, "info", "anna/voice", "--json")
    assert code == 0, err
    assert json.loads(out)["models"].keys() == {"vc/tiny"}


def test_a_data_dir_is_converted_in_its_experiment(machine: Machine, made: Experiment) -> None:
    soundfile.write(machine.folder / "voice.wav", babble(2.0, 12), RATE)
    call = ["convert", machine.folder, "--reference", machine.folder / "voice.wav"]
    assert "a data dir needs EXP" in run(*call, "--model", "anna/voice")[2]
    wav = ["convert", *(2 * [machine.folder / "voice.wav"])]
    wav.insert(2, "--reference")
    assert "give EXP, or --model with an experiment, a pack or USER/NAME" in run(*wav)[2]
    assert "vc/none: no such model; available: " in run(*wav, made.path, "--model", "none")[2]
    shutil.copytree(made.path / "units", machine.folder / "untrained" / "units")
    said = run(*wav, machine.folder / "untrained", "--model", "vc/none")[2]
    assert "available: none; train one first, as by train-vc" in said  # train-asr


def test_what_was_fetched_stays_in_the_cache(machine: Machine) -> None:
    missing = "no such folder, nor in the cache of the hub, which is offline or out of reach"
    assert f"anna/tiny: {missing}" in machine.refused("anna/tiny", HF_HUB_OFFLINE="1")
    assert f"anna/tiny: {missing}" in machine.refused("anna/tiny", "local_files_only")
    folder = machine.open("anna/tiny")
    machine.hub.asked.clear()
    assert machine.open("anna/tiny", HF_HUB_OFFLINE="1") == folder
    assert machine.open("anna/tiny", "local_files_only") == folder
    assert machine.hub.asked == []
    assert machine.open("anna/tiny") == folder
    assert machine.hub.asked == ["HEAD /anna/tiny/resolve/main/manifest.json"]
    assert machine.open("anna/tiny", HF_ENDPOINT="http://127.0.0.1:9") == folder


def test_a_download_that_broke_off_goes_on(machine: Machine) -> None:
    folder = machine.open("anna/tiny")
    (folder / "lm" / "model.onnx").unlink()
    machine.hub.asked.clear()
    assert machine.open("anna/tiny") == folder
    fetched = [one.split("/", 4)[-1] for one in machine.hub.asked if one.startswith("GET /anna")]
    assert len(fetched) <= 1, "the others are there"
    (folder / "lm" / "model.onnx").unlink()
    assert "out of reach" in machine.refused("anna/tiny", HF_HUB_OFFLINE="1")


def test_hashes_are_checked(machine: Machine) -> None:
    folder = machine.open("anna/tiny")
    damaged = folder / "units" / "units.json"
    content = damaged.read_text()
    damaged.unlink()
    damaged.write_text(content.replace("mfcc", "mfce"))
    assert "units/units.json: not as it was packed" in machine.refused("anna/tiny")


def test_a_card_that_was_edited_on_the_hub_is_no_damage(machine: Machine) -> None:
    repository = machine.hub.repositories["anna/tiny"]
    before = dict(repository.refs)
    repository.refs["edited"] = repository.refs["main"]
    repository.commit({"README.md": b"# Better words", "figures/a.png": b"a picture"}, "edited")
    try:
        folder = machine.open("anna/tiny@edited")
    finally:
        repository.refs = before
    assert (folder / "README.md").read_text() == "# Better words"
    assert not (folder / "figures").exists(), "it is not of the model"


def test_a_revision(machine: Machine) -> None:
    commit = machine.hub.repositories["anna/tiny"].refs["main"]
    folder = machine.open("anna/tiny")
    assert machine.open(f"anna/tiny@{commit}") == machine.open(f"anna/tiny@{commit[:40]}") == folder
    assert "anna/tiny@v9: no such revision on the hub" in machine.refused("anna/tiny@v9")


def test_a_folder_of_that_name_comes_first(machine: Machine, made: Experiment) -> None:
    shutil.copytree(made.path, machine.folder / "anna" / "tiny")
    machine.hub.asked.clear()
    assert machine.open("anna/tiny") == Path("anna/tiny")
    (machine.folder / "anna" / "other").mkdir()
    assert "anna/other: neither an experiment, nor a pack" in machine.refused("anna/other")
    assert machine.hub.asked == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("anna/none", "no such folder, and no such model on the hub; if it is private"),
        ("anna/gated", "its owner wants to be asked for access"),
        ("anna/other", "on the hub, but no model of entcomp, as it has no manifest.json"),
        ("anna/tiny/asr/none", "no such model; available: asr/tiny"),
        ("anna/gone.tar", "neither an experiment, nor a pack"),
        ("../anna/tiny", "neither an experiment, nor a pack"),
    ],
)
def test_models_that_are_none(machine: Machine, name: str, message: str) -> None:
    assert message in machine.refused(name)


@pytest.mark.parametrize("name", ["asr/tiny", "st/tiny", "vc/tiny"])
def test_a_model_without_its_experiment_was_looked_for_on_the_hub(
    machine: Machine, name: str
) -> None:
    """For half a minute, where there was no network, of which the message then spoke."""
    machine.hub.asked.clear()
    said = machine.refused(name)
    assert f"{name}: no such folder; name its experiment, too: EXP/{name}" in said
    assert machine.hub.asked == []


def test_models_of_others_tasks_were_not_looked_for_on_the_hub(machine: Machine) -> None:
    other = "from entcomp.tasks import TASKS; TASKS.register('slm')(TASKS['asr'])\n"
    _, _, err = machine.python(other + OPEN, "anna/none/slm/tiny")
    assert "anna/none: no such folder, and no such model on the hub" in err


def test_without_the_library(machine: Machine) -> None:
    without = f"import sys; sys.modules['huggingface_hub'] = None\n{OPEN}"
    code, _, err = machine.python(without, "anna/tiny")
    assert code == 1
    assert "anna/tiny: no such folder, and for models on the hub the Python package" in err


def test_a_pack_goes_as_it_is_and_again(machine: Machine, made: Experiment) -> None:
    assert machine.python(ENTCOMP, "pack", made.path, "out.tar")[0] == 0
    code, _, err = machine.push("out.tar", "anna/private", "--private")
    assert code == 0, err
    assert machine.push("out.tar", "anna/private")[0] == 0
    assert machine.hub.repositories["anna/private"].private
    packed, fetched = machine.folder / "packed", machine.open("anna/private", HF_TOKEN=TOKEN)
    shutil.unpack_archive(machine.folder / "out.tar", packed)
    assert (packed / "manifest.json").read_bytes() == (fetched / "manifest.json").read_bytes()
    assert "if it is private, 'hf auth login'" in machine.refused("anna/private@main", HF_HOME="x")


@pytest.mark.parametrize(
    ("name", "token", "message"),
    [
        ("anna/tiny", "", "anna/tiny: no token for the hub; log in by 'hf auth login', or set"),
        ("anna/tiny", "hf_other", "anna/tiny: the hub refuses this token; make one that may write"),
        ("anna/new", "hf_other", "anna/new: the hub refuses this token; make one that may write"),
        ("tiny", TOKEN, "tiny: not a name on the hub; expected user/name"),
    ],
)
def test_pushes_that_are_refused(
    machine: Machine, made: Experiment, name: str, token: str, message: str
) -> None:
    before = dict(machine.hub.repositories["anna/tiny"].refs)
    code, _, err = machine.push(made.path, name, token=token)
    assert code == 1 and err.splitlines()[-1].startswith(f"entcomp: error: {message}"), err
    assert machine.hub.repositories["anna/tiny"].refs == before
    assert "anna/new" not in machine.hub.repositories


def test_a_push_that_reaches_no_hub(machine: Machine, made: Experiment) -> None:
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": TOKEN}
    code, _, err = machine.python(ENTCOMP, "push", made.path, "anna/tiny", **nowhere)
    assert code == 1 and "anna/tiny: the hub failed (" in err.splitlines()[-1]
