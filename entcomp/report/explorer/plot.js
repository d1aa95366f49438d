// The picture: spectrogram, entropies, scores and thresholds over groups, words and phones.
// Pixels: of the spectrogram, the criterion's own scores, and a line of labels.
const HEIGHT = { spectrogram: 260, score: 96, group: 34, words: 28, phones: 52, time: 26 };
const LEAST_WIDTH = 260, MOST_PIXELS = 30000; // a second, and in all

const line = (kind, x1, y1, x2, y2) =>
  `<line class="${kind}" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"/>`;

function pixelsASecond() {
  const fitting = Math.max($("scroller").clientWidth / row.duration, LEAST_WIDTH);
  return Math.min(fitting * Number($("zoom").value), MOST_PIXELS / row.duration);
}

// The scores that are not the entropy itself, each with its threshold: a strip of their own.
function ownScores() {
  const { criterion, thresholds } = state;
  if (!criterion.thresholds.some((one) => one.name !== "theta_g")) return [];
  const scores = CRITERIA[criterion.name].scores(row.predictions, ruleOf());
  return criterion.thresholds
    .map((one, k) => ({ ...one, values: scores[k], threshold: thresholds[one.name] }))
    .filter((one) => one.name !== "theta_g");
}

function curvePath(kind, frames, values, x, y) {
  const points = frames.map((frame, i) => [x(timeOf(frame)), y(values[i])])
    .filter((one) => one.every(Number.isFinite)).map((one) => one.map((n) => n.toFixed(1)));
  const path = `points="${points.join(" ")}"`;
  return `<polyline class="halo" ${path}/><polyline class="${kind}" ${path}/>`;
}

function drawEntropies(x, top) {
  const height = HEIGHT.spectrogram, y = (nats) => height * (1 - nats / top);
  const { where, forward, backward } = row.predictions;
  let svg = "";
  if (backward) svg += curvePath("backward", row.backwardAt, backward, x, y);
  svg += curvePath("forward", where, forward, x, y);
  const threshold = state.thresholds.theta_g;
  return threshold > 0 ? svg + line("threshold", 0, y(threshold), x(row.duration), y(threshold)) : svg;
}

function drawScores(scores, x, top) {
  const height = HEIGHT.score, width = x(row.duration);
  return scores.map(({ values, threshold }) => {
    const finite = Array.from(values).filter(Number.isFinite);
    const [least, most] = [Math.min(...finite, threshold), Math.max(...finite, threshold)];
    const y = (one) => top + 6 + (height - 12) * (1 - (one - least) / (most - least || 1));
    return line("line", 0, top, width, top) + curvePath("score", row.predictions.where, values, x, y)
      + line("threshold", 0, y(threshold), width, y(threshold));
  }).join("");
}

// Rectangles to click at, one for each [start, end, label], and over them the labels, in one line
// or two in turn.
function drawSpans(spans, kind, x, top, height, lines) {
  return spans.map(([start, end, label], i) => {
    const [left, width] = [x(start), x(end) - x(start)];
    const middle = top + (height * (0.5 + (i % lines))) / lines;
    const text = kind === "span"
      ? `<text class="label" x="${left + width / 2}" y="${middle}">${escaped(label)}</text>` : "";
    const rect = `<rect class="${kind}${i % 2 ? " odd" : ""}" x="${left}" y="${top}" width="${width}"
      height="${height}" data-start="${start}" data-end="${end}"${
  kind === "group" ? ` data-group="${i}"` : ""}><title>${escaped(label)}
${start.toFixed(3)} to ${end.toFixed(3)} s</title></rect>`;
    return [rect, text];
  }).reduce((all, [rect, text]) => [all[0] + rect, all[1] + text], ["", ""]).join("");
}

function drawTimes(x, top, perSecond) {
  const step = [0.1, 0.2, 0.5, 1, 2, 5].find((one) => one * perSecond >= 70) ?? 10;
  let svg = "";
  for (let i = 1; i * step < row.duration; i += 1) {
    const at = x(i * step);
    svg += `${line("tick", at, top, at, top + 5)}<text class="label" x="${at}" y="${top + 15}">${
      (i * step).toFixed(step < 1 ? 1 : 0)}</text>`;
  }
  return svg;
}

function draw() {
  const perSecond = pixelsASecond(), width = Math.round(perSecond * row.duration);
  const x = (seconds) => Math.round(seconds * perSecond * 10) / 10;
  const finite = [...row.predictions.forward, ...(row.predictions.backward ?? [])];
  const nats = 1.08 * Math.max(...finite, 0.001), scores = ownScores(), names = [];
  let top = HEIGHT.spectrogram, below = "";
  if (scores.length) {
    names.push([top + HEIGHT.score / 2, scores[0].unit === "sd" ? "score" : "rise"]);
    top += HEIGHT.score;
  }
  const labelled = groups.times.map(([start, end], i) => [start, end, `group ${i + 1}: units ${
    row.units.slice(groups.frames[i], groups.frames[i] + groups.lengths[i]).join(" ")}`]);
  const edges = groups.times.map(([start]) => line("edge", x(start), 0, x(start), top)).join("");
  const bands = [["groups", labelled, "group", HEIGHT.group, 1]];
  for (const [tier, spans] of Object.entries(row.tiers)) {
    bands.push([tier, spans, "span", HEIGHT[tier], tier === "phones" ? 2 : 1]);
  }
  for (const [name, spans, kind, height, lines] of bands) {
    below += drawSpans(spans, kind, x, top, height, lines);
    names.push([top + height / 2, name]);
    top += height;
  }
  const curves = drawEntropies(x, nats) + drawScores(scores, x, HEIGHT.spectrogram);
  $("canvas").style.width = `${width}px`;
  $("canvas").innerHTML = `<img src="${row.spectrogram}" alt="Spectrogram" width="${width}"
    height="${HEIGHT.spectrogram}"><svg width="${width}" height="${top + HEIGHT.time}" role="img"
    aria-label="Entropy, groups, words and phones">${edges}${curves}${below}${
    drawTimes(x, top, perSecond)}<rect id="selection"/><line id="playhead" class="playhead" y2="${top}" hidden/></svg>`;
  drawAxis(nats, names, top);
  showLegend(scores);
}

function drawAxis(nats, names, height) {
  const step = nats > 3 ? 1 : 0.5;
  let svg = "";
  for (let value = step; value < 0.97 * nats; value += step) {
    const y = HEIGHT.spectrogram * (1 - value / nats);
    svg += `${line("tick", 57, y, 62, y)}<text class="name nats" x="54" y="${y}">${value}</text>`;
  }
  svg += `<text class="name nats" x="54" y="${HEIGHT.spectrogram - 8}">nats</text>`;
  svg += names.map(([y, name]) => `<text class="name" x="57" y="${y}">${name}</text>`).join("");
  svg += `<text class="name" x="57" y="${height + 15}">seconds</text>`;
  $("axis").innerHTML = `<svg width="62" height="${height + HEIGHT.time}">${svg}</svg>`;
}

function showLegend(scores) {
  const entries = [["forward", "entropy given the units before"]];
  const kilohertz = `<span>spectrogram: 0 to ${row.sample_rate / 2000} kHz</span>`;
  if (row.backward) entries.push(["backward", "entropy given the units after"]);
  if (scores.length) entries.push(["score", scores[0].unit === "sd" ? "score (sd)" : "rise (nats)"]);
  if (state.criterion.thresholds.length) entries.push(["threshold", "threshold"]);
  entries.push(["edge", "a group starts"]);
  $("legend").innerHTML = entries.map(([kind, text]) =>
    `<span><svg width="26" height="10">${line(kind, 0, 5, 26, 5)}</svg>${text}</span>`).join("") + kilohertz;
}
