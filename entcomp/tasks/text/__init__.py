"""Speech units to text: recognition (asr) and translation (st) are one model, one loss, one search.

They differ in the text that is the target, in the metric and in defaults: see `entcomp.tasks.asr`
and `entcomp.tasks.st`.
"""
