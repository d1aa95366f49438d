// Groups of `window` frames.
CRITERIA.fixed = { starts: (units, i, rule) => i % rule.window === 0 };
