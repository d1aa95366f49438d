// A new group wherever the unit changes.
CRITERIA.dedup = { starts: (units, i) => units[i] !== units[i - 1] };
