"""Entropy-based compression of speech units (arXiv 2509.00503).

The library's face; each class has a ``from_pretrained``, and an example in its help:

- `Tokenizer`: a waveform to units, entropies and groups, `Tokenized`
- `StreamingTokenizer`: units that arrive one by one to groups
- `Recognizer`, `Translator`: a waveform to text
- `VoiceConverter`: a waveform, or units alone, to speech in a voice
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from entcomp.pipelines.recognizer import Recognizer, Translator
    from entcomp.pipelines.tokenizer import StreamingTokenizer, Tokenized, Tokenizer
    from entcomp.pipelines.voice_converter import VoiceConverter

__version__ = "0.1.0"
__all__ = [
    "Recognizer",
    "StreamingTokenizer",
    "Tokenized",
    "Tokenizer",
    "Translator",
    "VoiceConverter",
    "__version__",
]

_MODULES = {
    "Recognizer": "recognizer",
    "StreamingTokenizer": "tokenizer",
    "Tokenized": "tokenizer",
    "Tokenizer": "tokenizer",
    "Translator": "recognizer",
    "VoiceConverter": "voice_converter",
}


def __getattr__(name: str) -> Any:
    """Import a class, and what it needs, when it is first asked for."""
    if name in _MODULES:
        return getattr(import_module(f"entcomp.pipelines.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'entcomp' has no attribute {name!r}")
