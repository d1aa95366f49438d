"""From token groups to group vectors: CALE and the pooling baselines, shared by every task."""
