// M1 of the paper: H_i > theta_g.
CRITERIA.global = { scores: (predictions) => [predictions.forward] };
