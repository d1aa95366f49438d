"""What is used of ESPnet, imported here only: on import it prints about Flash Attention."""

from contextlib import redirect_stdout
from io import StringIO

with redirect_stdout(StringIO()):
    from espnet.nets.ctc_prefix_score import CTCPrefixScoreTH
    from espnet.nets.e2e_asr_common import end_detect
    from espnet.nets.pytorch_backend.transformer.attention import RelPositionMultiHeadedAttention
    from espnet2.asr.ctc import CTC
    from espnet2.asr.decoder.transformer_decoder import TransformerDecoder
    from espnet2.asr.encoder.conformer_encoder import ConformerEncoder

__all__ = [
    "CTC",
    "CTCPrefixScoreTH",
    "ConformerEncoder",
    "RelPositionMultiHeadedAttention",
    "TransformerDecoder",
    "end_detect",
]
