// A local maximum of the entropy, above theta_g.
CRITERIA.peak = {
  scores: (predictions) => [predictions.forward],
  fires: (scores, thresholds, i) => exceeds(scores, thresholds, i) && isPeak(scores[0], i),
};
