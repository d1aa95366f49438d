"""Speech units to text: recognition (asr) and translation (st) are one model, one loss, one search.

They differ in the text that is the target and in the measure, and both are chosen by ``cli``.
"""
