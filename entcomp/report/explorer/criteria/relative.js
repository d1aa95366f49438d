// M2 of the paper: H_i - H_{i-1} > theta_r.
CRITERIA.relative = { scores: (predictions) => [rises(predictions.forward)] };
