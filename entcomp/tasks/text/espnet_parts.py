"""What is used of ESPnet, imported here only: on import it prints about Flash Attention."""

from contextlib import redirect_stdout
from io import StringIO

with redirect_stdout(StringIO()):
    from espnet.nets.batch_beam_search import BatchBeamSearch, BatchHypothesis
    from espnet.nets.e2e_asr_common import end_detect
    from espnet.nets.scorers.ctc import CTCPrefixScorer
    from espnet.nets.scorers.length_bonus import LengthBonus
    from espnet2.asr.ctc import CTC
    from espnet2.asr.decoder.transformer_decoder import TransformerDecoder
    from espnet2.asr.encoder.conformer_encoder import ConformerEncoder

__all__ = [
    "CTC",
    "BatchBeamSearch",
    "BatchHypothesis",
    "CTCPrefixScorer",
    "ConformerEncoder",
    "LengthBonus",
    "TransformerDecoder",
    "end_detect",
]
