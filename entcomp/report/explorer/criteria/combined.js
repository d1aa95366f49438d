// M3 of the paper: both the entropy and its rise exceed their thresholds.
CRITERIA.combined = {
  scores: (predictions) => [predictions.forward, rises(predictions.forward)],
};
