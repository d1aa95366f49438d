// Equal groups, up to rounding to frames: as many as come nearest to the rate.
CRITERIA.uniform = {
  starts(units, i, rule) {
    const wanted = Math.min(
      Math.max(roundHalfEven(units.length * rule.groups_per_unit), 1), units.length);
    return (i * wanted) % units.length < wanted;
  },
};
