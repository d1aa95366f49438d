"""Entropy-based compression of speech units (arXiv 2509.00503).

>>> from entcomp import Tokenizer
>>> Tokenizer.from_pretrained().encode(waveform, sample_rate)  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from entcomp.pipelines.tokenizer import StreamingTokenizer, Tokenized, Tokenizer

__version__ = "0.1.0"
__all__ = ["StreamingTokenizer", "Tokenized", "Tokenizer", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the tokenizer, and torch with it, when it is first asked for."""
    if name in __all__:
        from entcomp.pipelines import tokenizer

        return getattr(tokenizer, name)
    raise AttributeError(f"module 'entcomp' has no attribute {name!r}")
