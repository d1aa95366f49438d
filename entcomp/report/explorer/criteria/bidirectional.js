// z(H_i) + z(H'_{i-1}): the forward entropy of a unit and the backward entropy of the one before.
CRITERIA.bidirectional = {
  scores(predictions, rule) {
    const forward = standardise(predictions.forward, rule.moments[0]);
    const backward = standardise(predictions.backward, rule.moments[1]);
    return [forward.map((z, i) => (i ? Math.fround(z + backward[i - 1]) : -Infinity))];
  },
  fires: (scores, thresholds, i, rule) =>
    exceeds(scores, thresholds, i) && (!rule.peaks || isPeak(scores[0], i)),
};
