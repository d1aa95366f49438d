// The page: sliders, sound and export. groups.js decides which groups there are, plot.js draws them.
const DATA = JSON.parse(document.getElementById("data").textContent);
const INFO = DATA.info;
const SHIFT = INFO.frame_shift_samples / INFO.sample_rate; // seconds
const OFFSET = INFO.receptive_offset_samples / INFO.sample_rate;
const OFFERED = DATA.criteria.filter((one) => !one.problem);

const $ = (id) => document.getElementById(id);
const escaped = (text) => text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);
const LONGEST = 50; // frames; the last step of the slider is no limit
// What is shown: `rate` is null where thresholds were set that no single rate stands for; `least`
// and `most` are the limits of a group's length in frames; `selected` is the number of a group.
const state = { criterion: null, peaks: false, mode: "calibration", thresholds: {}, selected: 0 };
let row, groups; // of the utterance: its units and predictions; the groups and their scores

// ---- data -----------------------------------------------------------------------------------

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
}

function openUtterance(number) {
  const one = DATA.utterances[number];
  const floats = (text) => text && new Float32Array(bytesOf(text).buffer);
  const [forward, backward] = [floats(one.forward), floats(one.backward)];
  row = { ...one, units: new Int32Array(bytesOf(one.units).buffer), forward, backward };
  row.predictions = predictionsOf(forward, backward);
  row.seconds = row.units.length * SHIFT;
  row.backwardAt = [...(backward ?? []).keys()].filter((i) => !Number.isNaN(backward[i]));
}

const timeOf = (frame) => OFFSET + frame * SHIFT;
const namesOf = () => state.criterion.thresholds.map((one) => one.name);
const isLimited = () => state.least > 1 || state.most !== null;
// Of the calibration set, on which only groups of any length were counted.
const curveOf = () => (isLimited() ? null : calibrationCurve());
const calibrationCurve = () => state.criterion.curves?.[state.peaks ? "peaks" : "all"];

function ruleOf() {
  const { criterion, peaks, thresholds, window, rate } = state;
  const rule = { criterion: criterion.name, ...thresholds,
    min_length: state.least, max_length: state.most };
  if (criterion.moments) rule.moments = criterion.moments;
  if (criterion.peaks) rule.peaks = peaks;
  if (criterion.strength === "window") rule.window = window;
  if (isSpaced()) rule.groups_per_unit = rate * SHIFT;
  return rule;
}

// Groups from the number of units and a rate alone.
function isSpaced() {
  return state.criterion.strength === "target_rate" && !state.criterion.thresholds.length;
}

function regroup() {
  const rule = ruleOf(), frames = startFrames(groupStarts(row, rule, namesOf()));
  const at = groups?.frames[state.selected] ?? 0;
  const ends = [...frames.slice(1), row.units.length];
  const times = frames.map((frame, i) => [timeOf(frame), timeOf(ends[i])]);
  const lengths = frames.map((frame, i) => ends[i] - frame);
  const found = groupBoundaries(frames, INFO, row.end), scores = {};
  for (const [tier, reference] of Object.entries(row.boundaries)) {
    scores[tier] = boundaryScores(reference, found, INFO.tolerance);
  }
  groups = { rule, frames, lengths, times, scores, rate: frames.length / row.seconds };
  state.selected = frames.findLastIndex((frame) => frame <= at); // the one that is there now
}

// ---- controls -------------------------------------------------------------------------------

function setRange(slider, least, most, value) {
  Object.assign(slider, { min: least, max: most });
  slider.value = value;
}

function rateRange() {
  const curve = state.mode === "calibration" && curveOf();
  if (curve) return [curve.rates.at(-1), curve.rates[0]];
  return [1 / row.seconds, 1 / SHIFT];
}

// Thresholds from the rate, then all that depends on them.
function fromRate() {
  const curve = curveOf();
  if (state.criterion.thresholds.length && state.rate !== null) {
    const [least, most] = rateRange();
    state.rate = Math.min(Math.max(state.rate, least), most);
    const count = Math.round(state.rate * row.seconds);
    const found = state.mode === "calibration"
      ? thresholdsOnCalibration(curve, state.rate)
      : thresholdsHere(row, { ...ruleOf(), ...state.thresholds }, namesOf(), count);
    for (const name in found) state.thresholds[name] = Math.fround(found[name]);
  }
  show();
}

function fromThreshold(name, value) {
  state.thresholds[name] = Math.fround(value);
  const curve = curveOf(), single = state.criterion.thresholds.length === 1;
  regroup();
  if (state.mode === "here") state.rate = groups.rate;
  else state.rate = single && curve ? rateOnCalibration(curve, name, value) : null;
  show();
}

// Thresholds stay: what is too short joins the group before.
function fromLengths(least, most) {
  Object.assign(state, { least, most });
  if (!curveOf()) state.mode = "here";
  regroup();
  if (state.criterion.thresholds.length) state.rate = groups.rate;
  show();
}

function chooseCriterion(name) {
  state.criterion = OFFERED.find((one) => one.name === name);
  state.thresholds = {};
  state.rate ??= groups?.rate ?? DATA.initial.rate;
  state.peaks = state.criterion.peaks && state.peaks;
  if (!curveOf()) state.mode = "here";
  makeThresholds();
  fromRate();
}

// A slider for each threshold, over all that the scores here and on the calibration set come to.
function makeThresholds() {
  const scores = state.criterion.thresholds.length
    ? CRITERIA[state.criterion.name].scores(row.predictions, ruleOf()) : [];
  $("thresholds").replaceChildren(...state.criterion.thresholds.map(({ name }, k) => {
    const label = document.createElement("label");
    label.className = "row";
    label.innerHTML = `<span>${THETA[name] ?? name}</span> <input type="range" step="any"
      id="${name}"> <output id="${name}-value"></output>`;
    const own = Array.from(scores[k]).slice(1).filter(Number.isFinite);
    const all = [...own, ...(calibrationCurve()?.thresholds[name] ?? [])];
    const slider = label.querySelector("input");
    setRange(slider, Math.min(...all) - 0.01, Math.max(...all) + 0.01, 0);
    slider.addEventListener("input", () => fromThreshold(name, Number(slider.value)));
    return label;
  }));
}

const THETA = { theta_g: "Entropy >", theta_r: "Rise >", theta_z: "Score >" };

function showControls() {
  const { criterion, rate, mode } = state, curve = curveOf();
  $("criterion").value = criterion.name;
  $("help").textContent = criterion.help;
  $("peaks").checked = state.peaks;
  $("peaks-row").hidden = !criterion.peaks;
  $("rate-row").hidden = criterion.strength !== "target_rate";
  $("mode-row").hidden = !criterion.thresholds.length;
  $("mode-calibration").disabled = !curve;
  $(`mode-${mode}`).checked = true;
  setRange($("rate"), ...rateRange(), rate ?? groups.rate);
  $("rate-value").textContent = rate === null ? "–" : `${rate.toFixed(2)} Hz`;
  for (const { name, unit } of criterion.thresholds) {
    $(name).value = state.thresholds[name];
    $(`${name}-value`).textContent = `${state.thresholds[name].toFixed(3)} ${unit}`;
  }
  $("window-row").hidden = criterion.strength !== "window";
  $("window").value = state.window;
  $("window-value").textContent = `${state.window} frames`;
  const lasting = (frames) => `${frames} (${(1000 * frames * SHIFT).toFixed(0)} ms)`;
  $("least").value = state.least;
  $("least-value").textContent = lasting(state.least);
  $("most").value = state.most ?? LONGEST + 1;
  $("most-value").textContent = state.most === null ? "no limit" : lasting(state.most);
  $("zoom-value").textContent = `${Number($("zoom").value).toFixed(1)} ×`;
  const why = criterion.uncalibrated
    ? `No rates of a calibration set: ${criterion.uncalibrated}.`
    : "With a limit of length, rates are counted on this recording.";
  const counted = criterion.thresholds.length && (criterion.uncalibrated || isLimited());
  $("note").textContent = counted ? why : "";
}

function showResults() {
  const number = groups.frames.length;
  const facts = [["groups", number], ["rate", `${groups.rate.toFixed(2)} Hz`],
    ["mean length", `${(1000 / groups.rate).toFixed(0)} ms`],
    ["units", `${row.units.length}, ${(1 / SHIFT).toFixed(1)} Hz`]];
  $("counts").tBodies[0].innerHTML = facts.map(([name, value]) =>
    `<tr><th>${name}</th><td id="${name.replace(" ", "-")}">${value}</td></tr>`).join("");
  const percent = (value) => (value === null ? "–" : (100 * value).toFixed(1));
  const rows = Object.entries(groups.scores).map(([tier, one]) =>
    `<tr id="scores-${tier}"><th>${tier}</th>${["precision", "recall", "f1", "r_value"].map((name) =>
      `<td>${percent(one[name])}</td>`).join("")}</tr>`).join("");
  const caption = `% of boundaries within ${INFO.tolerance / 1e6} ms, one-to-one`;
  $("scores").innerHTML = rows
    ? `<table><caption>${caption}</caption><thead><tr><th></th><th title="precision">P</th>
      <th title="recall">R</th><th>F1</th><th>R-value</th></tr></thead><tbody>${rows}</tbody></table>`
    : '<p class="hint">No TextGrid: no boundaries of words and phones to compare with.</p>';
}

function show() {
  regroup();
  showControls();
  showResults();
  draw();
  showSelected();
  showExports();
}

function showSelected() {
  const at = state.selected, [start, end] = groups.times[at], first = groups.frames[at];
  const units = row.units.slice(first, first + groups.lengths[at]).join(" ");
  $("selected").textContent = `Group ${at + 1} of ${groups.frames.length}: ${start.toFixed(3)} to ${
    end.toFixed(3)} s, units ${units}`;
  const rect = document.querySelectorAll("rect.group")[at];
  for (const name of ["x", "y", "width", "height"]) {
    $("selection").setAttribute(name, rect.getAttribute(name));
  }
}

// The group of that number, or the nearest that there is.
function select(number) {
  state.selected = Math.min(Math.max(number, 0), groups.frames.length - 1);
  showSelected();
  const x = groups.times[state.selected][0] * pixelsASecond(), scroller = $("scroller");
  const inside = x - scroller.scrollLeft;
  if (inside < 40 || inside > scroller.clientWidth - 80) scroller.scrollLeft = x - scroller.clientWidth / 2;
}

// ---- sound ----------------------------------------------------------------------------------

let context, playing;

async function play(start, end) {
  context ??= new AudioContext();
  const shown = row;
  row.buffer ??= await context.decodeAudioData(bytesOf(row.audio.split(",")[1]).buffer);
  await context.resume();
  if (shown !== row) return;
  playing?.source.stop();
  const source = context.createBufferSource();
  source.buffer = row.buffer;
  source.connect(context.destination);
  source.start(0, start, end - start);
  const own = playing = { source, start, end, begin: context.currentTime };
  source.onended = () => { if (playing === own) playing = null; };
  $("player").pause();
  requestAnimationFrame(movePlayhead);
}

// Arrows, Home and End choose a group and the space bar plays it, but where a control needs them.
function onKey(event) {
  const { key, target } = event, moves = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const control = target.closest("a, audio, input, select, summary");
  if (key === " " && (!control || control.type === "range")) play(...groups.times[state.selected]);
  else if (key in moves && !control) select(state.selected + moves[key]);
  else return;
  event.preventDefault();
}

// A line where it plays: a group, or the complete recording.
function movePlayhead() {
  const head = $("playhead"), player = $("player");
  const now = playing ? playing.start + context.currentTime - playing.begin : player.currentTime;
  const moving = playing || !player.paused;
  head.toggleAttribute("hidden", !moving);
  const x = now * pixelsASecond();
  for (const name of ["x1", "x2"]) head.setAttribute(name, x);
  for (const one of document.querySelectorAll("rect[data-start]")) {
    one.classList.toggle("playing", Boolean(playing) && Number(one.dataset.start) === playing.start
      && Number(one.dataset.end) === playing.end);
  }
  if (moving) requestAnimationFrame(movePlayhead);
}

// ---- export ---------------------------------------------------------------------------------

function showExports() {
  const labels = groups.frames.map((frame, i) =>
    [...groups.times[i], row.units.slice(frame, frame + groups.lengths[i]).join(" ")]);
  const end = Math.max(row.duration, groups.times.at(-1)[1]);
  const grid = textGrid({ groups: labels, ...row.tiers }, end);
  const json = JSON.stringify({
    utt_id: row.utt_id, model: DATA.model, rule: groups.rule, rate: groups.rate,
    frame_shift: SHIFT, receptive_offset: OFFSET, groups: groups.lengths, times: groups.times,
    boundary_scores: groups.scores,
  });
  for (const [id, kind, text, suffix] of [["as-textgrid", "text/plain", grid, "groups.TextGrid"],
    ["as-json", "application/json", json, "groups.json"]]) {
    $(id).href = `data:${kind};charset=utf-8,${encodeURIComponent(text)}`;
    $(id).download = `${row.utt_id}.${suffix}`;
  }
}

// ---- start ----------------------------------------------------------------------------------

function chooseUtterance(number) {
  openUtterance(number);
  $("text").textContent = row.text;
  $("text").hidden = !row.text;
  $("player").src = row.audio;
  $("scroller").scrollLeft = 0;
  state.selected = 0;
  if (state.criterion) { makeThresholds(); fromRate(); }
}

function fillMenus() {
  const option = (value, text) => new Option(text, value);
  $("utterance").append(...DATA.utterances.map((one, i) => option(i, one.utt_id)));
  $("choice").hidden = DATA.utterances.length === 1;
  $("criterion").append(...OFFERED.map((one) => option(one.name, one.name)));
  const others = DATA.criteria.filter((one) => one.problem);
  $("others").hidden = !others.length;
  $("others").querySelector("ul").innerHTML = others.map((one) =>
    `<li><b>${escaped(one.name)}</b> (${escaped(one.help)}): ${escaped(one.problem)}.</li>`).join("");
  const single = DATA.utterances.length === 1 ? `${DATA.utterances[0].utt_id}, ` : "";
  $("about").textContent = `${single}units of ${DATA.model}: ${INFO.num_clusters} kinds, ${
    (1 / SHIFT).toFixed(1)} a second`;
}

function listen() {
  const on = (id, event, act) => $(id).addEventListener(event, act);
  on("utterance", "change", () => chooseUtterance(Number($("utterance").value)));
  on("criterion", "change", () => chooseCriterion($("criterion").value));
  on("peaks", "change", () => { state.peaks = $("peaks").checked; chooseCriterion(state.criterion.name); });
  on("rate", "input", () => { state.rate = Number($("rate").value); fromRate(); });
  on("least", "input", () => {
    const least = Number($("least").value);
    fromLengths(least, state.most && Math.max(state.most, least));
  });
  on("most", "input", () => {
    const most = Number($("most").value);
    fromLengths(Math.min(state.least, most), most > LONGEST ? null : most);
  });
  on("window", "input", () => { state.window = Number($("window").value); show(); });
  for (const mode of ["calibration", "here"]) {
    on(`mode-${mode}`, "change", () => {
      state.mode = mode;
      state.rate ??= groups.rate;
      fromRate();
    });
  }
  on("zoom", "input", show);
  on("player", "play", () => { playing?.source.stop(); requestAnimationFrame(movePlayhead); });
  on("canvas", "click", (event) => {
    const { start, end, group } = event.target.dataset;
    if (group) select(Number(group));
    if (start) play(Number(start), Number(end));
  });
  document.addEventListener("keydown", onKey);
  window.addEventListener("resize", () => { draw(); showSelected(); });
}

function start() {
  const { criterion, peaks, rate, thresholds, window: frames, min_length, max_length } = DATA.initial;
  Object.assign(state, { peaks, rate, window: frames, least: min_length, most: max_length });
  $("most").max = LONGEST + 1;
  fillMenus();
  listen();
  chooseUtterance(0);
  chooseCriterion((OFFERED.find((one) => one.name === criterion) ?? OFFERED[0]).name);
  if (state.criterion.name === criterion && namesOf().every((name) => name in thresholds)) {
    Object.assign(state.thresholds, thresholds);
    show();
  }
}

start();
