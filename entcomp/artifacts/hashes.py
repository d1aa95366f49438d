"""One codebook, LM or vocoder is never mixed with another's: the one place that says so."""

from __future__ import annotations

from entcomp.errors import EntcompError


def check_same(
    expected: str | None, found: str | None, what: str, where: object, remedy: str
) -> None:
    """Raises EntcompError if both hashes are known and differ."""
    if expected and found and expected != found:
        raise EntcompError(f"{where}: made with another {what}; {remedy}")
