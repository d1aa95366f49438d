"""Settings of models that are trained for a few steps, where only the path to them is tested."""

LM = """
layers: 1
dim: 16
heads: 2
ffn_dim: 32
context: 64
rows_per_batch: 2
score_overlap: 16
training: {max_steps: 2, val_interval: 1, warmup_steps: 1}
"""
# For units of real prompts; a recipe's test adds `training` to these and to what follows.
PROMPT_LM = """
layers: 1
dim: 32
heads: 2
ffn_dim: 64
context: 128
score_overlap: 64
rows_per_batch: 4
"""
VC = """
local: {layers: 1}
layout: repeat
dit: {dim: 16, depth: 1, heads: 2, patch: 2}
batch: {size: 2, max_target: 1.0, max_prompt: 0.5}
sampler: {steps: 2, guidance: 0.0}
"""
TEXT = """
vocabulary: {kind: char, size: 60}
local: {layers: 1, heads: 2}
dim: 32
encoder: {layers: 1, heads: 2, feed_forward: 32}
decoder: {layers: 1, heads: 2, feed_forward: 32}
parameters: null
ctc_weight: 0.0
decoding: {beam: 2, ctc_weight: 0.0, max_tokens: 8}
"""
TRAINED_TEXT = f"{TEXT}training: {{max_steps: 3, warmup_steps: 2, val_interval: 3}}\n"
