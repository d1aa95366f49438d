"""The list of utterances that a stage had to leave out, with the reasons."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from entcomp.errors import EntcompError
from entcomp.files import write_text


class SkippedUtterances:
    """Collects bad utterances under ``--skip-bad``; without it the first one ends the stage.

    >>> skipped = SkippedUtterances(skip_bad=False)
    >>> with skipped.guard("utt1"):
    ...     raise EntcompError("a.wav: no samples")
    Traceback (most recent call last):
    entcomp.errors.EntcompError: a.wav: no samples (utterance utt1); fix it or pass --skip-bad
    """

    def __init__(self, skip_bad: bool) -> None:
        self.skip_bad = skip_bad
        self.reasons: dict[str, str] = {}

    def add(self, utt_id: str, reason: str) -> None:
        """Note a bad utterance; raises EntcompError unless ``--skip-bad`` was given."""
        if not self.skip_bad:
            raise EntcompError(f"{reason} (utterance {utt_id}); fix it or pass --skip-bad")
        self.reasons[utt_id] = reason

    @contextmanager
    def guard(self, utt_id: str) -> Iterator[None]:
        """Turn an EntcompError inside the block into a bad utterance."""
        try:
            yield
        except EntcompError as error:
            self.add(utt_id, str(error))

    def __len__(self) -> int:
        return len(self.reasons)

    def write(self, path: Path) -> None:
        """Write ``utt_id reason`` lines, sorted; no file where nothing was skipped."""
        if not self.reasons:
            path.unlink(missing_ok=True)
            return
        lines = (f"{utt_id} {reason}\n" for utt_id, reason in sorted(self.reasons.items()))
        write_text(path, "".join(lines))


def skip_inputs(skip_bad: bool, allow_pipes: bool) -> dict[str, Any]:
    """Of what is skipped, for a manifest: commands are bad recordings where they are refused."""
    return {"skip_bad": skip_bad} | ({"allow_pipes": allow_pipes} if skip_bad else {})


def describe_utterances(found: Collection[str], one: str, many: str) -> str | None:
    """How many utterances there are, and the first five; None where there are none.

    ``found`` are ids, or texts by id; ``one`` and ``many`` are what the utterances do.

    >>> describe_utterances({"utt1": "2 s"}, "is too long", "are too long")
    '1 utterance is too long: utt1 (2 s)'
    """
    details = found if isinstance(found, Mapping) else {}
    shown = [f"{utt} ({details[utt]})" if utt in details else utt for utt in list(found)[:5]]
    if not shown:
        return None
    count = f"1 utterance {one}" if len(found) == 1 else f"{len(found)} utterances {many}"
    return f"{count}: {', '.join(shown)}" + (", ..." if len(found) > 5 else "")
