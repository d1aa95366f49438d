// Groups and their scores, as entcomp/segmentation and entcomp/evaluation/boundaries have them.
// Nothing here knows the page, so that node can run it. Entropies are float32, in nats; scores are
// computed with Math.fround, so that all comparisons decide as numpy's do.
"use strict";

// By name: { scores(predictions, rule), fires(scores, thresholds, i, rule) } of a criterion on
// entropies, or { starts(units, i, rule) } of one on units. criteria/NAME.js adds each.
const CRITERIA = {};

// The positions at which the LM predicted something (no NaN), and the entropies there.
function predictionsOf(forward, backward) {
  const predicted = (values) => Float32Array.from(values).filter((one) => !Number.isNaN(one));
  const where = [...forward.keys()].filter((i) => !Number.isNaN(forward[i]));
  return { where, forward: predicted(forward), backward: backward && predicted(backward) };
}

// H_i - H_{i-1}; minus infinity at the first.
function rises(values) {
  return values.map((one, i) => (i ? Math.fround(one - values[i - 1]) : -Infinity));
}

function standardise(values, [mean, std]) {
  const [m, s] = [Math.fround(mean), Math.fround(std)];
  return values.map((one) => Math.fround(Math.fround(one - m) / s));
}

function exceeds(scores, thresholds, i) {
  return scores.every((score, k) => score[i] > thresholds[k]);
}

// Above the left neighbour and not below the right one; the first never is.
function isPeak(score, i) {
  return i > 0 && score[i] > score[i - 1] && !(i + 1 < score.length && score[i + 1] > score[i]);
}

function roundHalfEven(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 ? up - 1 : up;
}

// Which units start a group, of { units, predictions }. `names` are those of the thresholds in
// `rule`, one for each score of the criterion. Unit 0 always starts one.
function groupStarts(row, rule, names) {
  const kind = CRITERIA[rule.criterion];
  const starts = Array.from(row.units, (_, i) => i === 0 || Boolean(kind.starts?.(row.units, i, rule)));
  if (!kind.starts) {
    const scores = kind.scores(row.predictions, rule);
    const thresholds = names.map((name) => Math.fround(rule[name]));
    const fires = kind.fires ?? exceeds;
    row.predictions.where.forEach((unit, i) => {
      if (fires(scores, thresholds, i, rule)) starts[unit] = true;
    });
  }
  return limitLengths(starts, rule.min_length ?? 1, rule.max_length ?? Infinity);
}

// From left to right, starts nearer than `least` frames to the last kept one are dropped, and a
// group of `most` frames ends there.
function limitLengths(starts, least, most) {
  let open = 0; // frames of the group so far
  return starts.map((one, i) => {
    const start = i === 0 || (one && open >= least) || open === most;
    open = start ? 1 : open + 1;
    return start;
  });
}

// Frames at which groups start.
function startFrames(starts) {
  return [...starts.keys()].filter((i) => starts[i]);
}

// values[level * (length - 1)], linear between neighbours.
function interpolate(values, level) {
  const at = level * (values.length - 1), left = Math.min(Math.floor(at), values.length - 2);
  return values[left] + (at - left) * (values[left + 1] - values[left]);
}

// The level from 0 to 1 at which a function that falls reaches a value.
function bisect(value, at) {
  let [low, high] = [0, 1];
  for (let step = 0; step < 40; step += 1) {
    const level = (low + high) / 2;
    if (at(level) > value) low = level;
    else high = level;
  }
  return high;
}

// Thresholds by name that gave `rate` on the calibration set; `curve` has { rates, thresholds } at
// evenly spaced levels.
function thresholdsOnCalibration(curve, rate) {
  const level = bisect(rate, (one) => interpolate(curve.rates, one));
  return Object.fromEntries(
    Object.entries(curve.thresholds).map(([name, values]) => [name, interpolate(values, level)]));
}

// The rate on the calibration set of a threshold.
function rateOnCalibration(curve, name, threshold) {
  const level = bisect(-threshold, (one) => -interpolate(curve.thresholds[name], one));
  return interpolate(curve.rates, level);
}

// Thresholds by name that make the number of groups of this very row nearest to `count`: one level
// for all, among the quantiles of its own scores.
function thresholdsHere(row, rule, names, count) {
  const scores = CRITERIA[rule.criterion].scores(row.predictions, rule);
  const grids = scores.map((one) => {
    const sorted = one.slice(1).filter(Number.isFinite).sort();
    return sorted.length ? [sorted[0] - 1e-3, ...sorted] : [0, 0];
  });
  const at = (level) => Object.fromEntries(
    names.map((name, k) => [name, interpolate(grids[k], level)]));
  const counted = (level) => groupStarts(row, { ...rule, ...at(level) }, names)
    .filter(Boolean).length;
  const enough = bisect(count, counted), more = Math.max(enough - 1e-9, 0);
  return at(counted(more) - count < count - counted(enough) ? more : enough);
}

// Times in ticks (nanoseconds) at which groups after the first start, within the reference.
function groupBoundaries(frames, info, end) {
  const ticks = frames.slice(1).map((frame) => {
    const samples = info.receptive_offset_samples + frame * info.frame_shift_samples;
    return Math.floor((samples * 1e9 + Math.floor(info.sample_rate / 2)) / info.sample_rate);
  });
  return ticks.filter((tick) => tick > 0 && tick < end);
}

// How many boundaries can be paired one-to-one within the tolerance; sorted, in ticks.
function matchOneToOne(reference, hypothesis, tolerance) {
  let matched = 0;
  for (let i = 0, j = 0; i < reference.length && j < hypothesis.length;) {
    const distance = hypothesis[j] - reference[i];
    if (distance > tolerance) i += 1;
    else if (distance < -tolerance) j += 1;
    else { matched += 1; i += 1; j += 1; }
  }
  return matched;
}

// Precision, recall, F1 and R-value (Räsänen et al., Interspeech 2009); null where undefined.
function boundaryScores(reference, hypothesis, tolerance) {
  const matched = matchOneToOne(reference, hypothesis, tolerance);
  const precision = hypothesis.length ? matched / hypothesis.length : 0;
  const recall = reference.length ? matched / reference.length : 0;
  const f1 = matched ? (2 * precision * recall) / (precision + recall) : 0;
  if (!reference.length) return { precision, recall, f1, r_value: null };
  const over = hypothesis.length / reference.length - 1;
  const r1 = Math.hypot(1 - recall, over), r2 = (recall - 1 - over) / Math.SQRT2;
  return { precision, recall, f1, r_value: 1 - (Math.abs(r1) + Math.abs(r2)) / 2 };
}

// A TextGrid in Praat's long format; tiers are { name: [[start, end, label], ...] }, in seconds.
function textGrid(tiers, duration) {
  const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
  const lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0",
    `xmax = ${duration}`, "tiers? <exists>", `size = ${Object.keys(tiers).length}`, "item []:"];
  Object.entries(tiers).forEach(([name, spans], number) => {
    const intervals = withBlanks(spans, duration);
    lines.push(`    item [${number + 1}]:`, '        class = "IntervalTier"',
      `        name = ${quoted(name)}`, "        xmin = 0", `        xmax = ${duration}`,
      `        intervals: size = ${intervals.length}`);
    intervals.forEach(([start, end, label], i) => lines.push(
      `        intervals [${i + 1}]:`, `            xmin = ${start}`, `            xmax = ${end}`,
      `            text = ${quoted(label)}`));
  });
  return `${lines.join("\n")}\n`;
}

// The same with an interval without a label wherever there was none.
function withBlanks(spans, duration) {
  const all = [];
  let end = 0;
  for (const span of spans) {
    if (span[0] > end) all.push([end, span[0], ""]);
    all.push(span);
    end = span[1];
  }
  if (end < duration) all.push([end, duration, ""]);
  return all;
}
