// Draws the report from window.KVLA (data.js). No network, no build step.
'use strict';

const data = window.KVLA;
const main = document.getElementById('main');
// Okabe and Ito's colours, which colour-blind people can tell apart.
const PALETTE = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8c6d31', '#7f7f7f'];
const PARTS = ['render', 'encode', 'linear', 'attend', 'gate', 'compact', 'act'];
const STATES = ['window', 'whole', 'compressed', 'dropped'];
const STATE_COLOURS = ['#56b4e9', '#009e73', '#e69f00', '#b8bec5'];
const STATE_SCALE = STATE_COLOURS.flatMap((colour, i) => [[i / 4, colour], [(i + 1) / 4, colour]]);
const arms = [];
for (const row of data.rows) if (!arms.includes(row.arm)) arms.push(row.arm);
if (Array.isArray(data.meta.arms)) arms.sort((a, b) => rank(a) - rank(b));
function rank(arm) { const i = data.meta.arms.indexOf(arm); return i < 0 ? 1e6 : i; }
const colour = arm => PALETTE[Math.max(0, arms.indexOf(arm)) % PALETTE.length];
const cellName = r => r.task + (r.delay ? ', ' + r.delay : '');

// ---- page ----

function add(parent, tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  parent.appendChild(element);
  return element;
}

function section(id, title, note) {
  const element = add(main, 'section');
  element.id = id;
  add(element, 'h2', title);
  if (note) add(element, 'p', note, 'note');
  const link = add(document.getElementById('contents'), 'a', title);
  link.href = '#' + id;
  return element;
}

if (data.no_success) add(main, 'p', data.no_success + '; what it costs is true.', 'note');
const number = (value, digits) => value === null || value === undefined ? '–' : value.toFixed(digits);
function short(value) {
  if (value === null || value === undefined) return '–';
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}
const signed = (value, digits) => value === null ? '–' : (value > 0 ? '+' : '') + value.toFixed(digits);
const pValue = p => p === null ? '–' : p < 0.0001 ? '<0.0001' : p.toFixed(4);
// A mean of values that are all the same has no bounds.
const bounds = (i, text) => i.low === null ? '(no spread)' : `[${text(i.low)}, ${text(i.high)}]`;
const percent = i => {
  const value = i.rate !== undefined ? i.rate : i.mean !== undefined ? i.mean : i.value;
  return value === null || value === undefined ? '–'
    : [number(100 * value, 1), bounds(i, x => number(100 * x, 1))];
};
const points = i => i.value === null ? '–' : [signed(100 * i.value, 1), bounds(i, x => signed(100 * x, 1))];
const ratio = i => i.value === null ? '–' : [number(i.value, 3), bounds(i, x => number(x, 3))];
// Ratios of times that are not comparable are marked.
const mark = text => data.latency.comparable || text === '–' ? text : '~' + text;
const timeRatio = i => { const r = ratio(i); return Array.isArray(r) ? [mark(r[0]), r[1]] : r; };

// `rows`: {group, arm, cells}; a cell is text or [value, interval].
function table(parent, header, rows) {
  const element = add(add(parent, 'div', undefined, 'scroll'), 'table');
  const head = add(add(element, 'thead'), 'tr');
  for (const text of header) add(head, 'th', text);
  const body = add(element, 'tbody');
  let last;
  for (const row of rows) {
    if (row.group !== undefined && row.group !== last) {
      const group = add(add(body, 'tr', undefined, 'group'), 'td', row.group);
      group.colSpan = header.length;
      last = row.group;
    }
    const line = add(body, 'tr');
    row.cells.forEach((cell, i) => {
      const td = add(line, 'td');
      if (i === 0 && row.arm !== undefined) {
        add(td, 'span', undefined, 'swatch').style.background = colour(row.arm);
      }
      if (Array.isArray(cell)) {
        td.append(cell[0] + ' ');
        add(td, 'span', cell[1], 'interval');
      } else {
        td.append(String(cell));
      }
    });
  }
}

// ---- plots ----

const style = getComputedStyle(document.documentElement);
const css = name => style.getPropertyValue(name).trim();
function layout(title, x, y, more) {
  const axis = text => ({title: {text}, gridcolor: css('--line'), zerolinecolor: css('--line'), automargin: true});
  return Object.assign({
    title: {text: title, font: {size: 14}, x: 0.01, xanchor: 'left'}, xaxis: axis(x), yaxis: axis(y),
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: {color: css('--text'), size: 12},
    margin: {l: 60, r: 15, t: 40, b: 45}, legend: {orientation: 'h', y: -0.22}, height: 360,
  }, more);
}
function plot(parent, traces, plotLayout, className) {
  const element = add(parent, 'div', undefined, 'plot' + (className ? ' ' + className : ''));
  Plotly.newPlot(element, traces, plotLayout, {responsive: true, displaylogo: false, displayModeBar: 'hover',
    modeBarButtons: [['toImage', 'zoom2d', 'pan2d', 'resetScale2d']]});
  return element;
}
function cells() {
  const seen = [];
  for (const row of data.rows) if (!seen.includes(cellName(row))) seen.push(cellName(row));
  return seen;
}
const detailOf = row => data.details.find(d => d.arm === row.arm && d.task === row.task && d.delay === row.delay);

// ---- sections ----

function heading() {
  const meta = data.meta;
  const name = /^name: *(.*)$/m.exec(typeof meta.config === 'string' ? meta.config : '');
  const title = 'kvla report' + (name ? ': ' + name[1].replace(/"/g, '') : '');
  document.title = title;
  document.getElementById('title').textContent = title;
  const facts = ['started', 'version', 'commit', 'config_hash', 'checkpoint_hash', 'device', 'cpu', 'cpu_kernels', 'gl_renderer']
    .filter(key => meta[key]).map(key => `${key.replace(/_/g, ' ')} ${meta[key]}`);
  document.getElementById('facts').textContent = facts.join(' · ');
  const warnings = data.warnings.concat(data.problems);
  if (/llvmpipe|softpipe|swrast/.test(meta.gl_renderer || '')) warnings.unshift('images were drawn by a software renderer: ' + meta.gl_renderer);
  if (!data.latency.comparable) warnings.unshift(`latencies are not comparable (ratios of them have a ~): ${data.latency.why_not}`);
  if (meta.stopped) warnings.unshift('stopped early: ' + (meta.stopped.statements || [meta.stopped]).join('; '));
  if (warnings.length) {
    const box = add(main, 'div', undefined, 'warning'), list = add(box, 'ul');
    const shown = 6;
    for (const warning of warnings.slice(0, shown)) add(list, 'li', warning);
    if (warnings.length > shown) {
      const more = add(box, 'details');
      add(more, 'summary', `${warnings.length - shown} more`);
      const rest = add(more, 'ul');
      for (const warning of warnings.slice(shown)) add(rest, 'li', warning);
    }
  }
}

function success() {
  const s = section('success', 'Success', 'Percent, with 95% intervals (Wilson; bootstrap for progress, where the episodes differ in it). Episodes that ended in error are in no rate.');
  table(s, ['arm', 'episodes', 'errors', 'success', 'reached the decisive stage', 'decisive right', 'motor stages', 'progress', 's to success, p50'],
    data.rows.map(row => {
      const d = detailOf(row), ended = row.episodes - row.errors;
      return {group: cellName(row) + (d.chance > 0 ? ` (decisive stage by chance: ${number(100 * d.chance, 1)})` : ''), arm: row.arm,
        cells: [row.arm, row.episodes, row.errors, percent(row.success),
          ended ? number(100 * d.decisive_reached / ended, 1) : '–', percent(row.decisive), percent(d.motor), percent(row.progress),
          number(d.time_to_success.p50_s, 1)]};
    }));
  add(s, 'h3', 'Stages');
  table(s, ['arm', 'stage', 'reached', 's until it, p50'], data.rows.flatMap(row => detailOf(row).stages.map(stage => ({
    group: cellName(row), arm: row.arm,
    cells: [row.arm, stage.name + (stage.decisive ? ' (decisive)' : ''), percent(stage.reached), number(stage.p50_s, 1)]}))));
}

function costs() {
  const s = section('cost', 'Cost', 'Means are over the inferences of an episode, then over episodes; percentiles over all inferences. Last: the last 10% of each episode.');
  const lines = cells => data.rows.map(row => ({group: cellName(row), arm: row.arm, cells: [row.arm, ...cells(row, detailOf(row))]}));
  add(s, 'h3', 'Latency of an inference (ms)');
  table(s, ['arm', 'mean', 'p50', 'p95', 'p99', 'max', 'last, mean', 'last, p95', 'decoder, last, mean', 'p50', 'p95'], lines(row => [
    ...['mean', 'p50', 'p95', 'p99', 'max'].map(key => short(row.latency_ms[key])),
    ...['mean', 'p95'].map(key => short(row.latency_ms_last10[key])),
    ...['mean', 'p50', 'p95'].map(key => short(row.decoder_ms_last10[key]))]));
  add(s, 'h3', 'Latency by part (ms, mean / p95)');
  table(s, ['arm', ...PARTS], lines((row, d) => PARTS.map(part => `${short(d.parts_ms[part].mean)} / ${short(d.parts_ms[part].p95)}`)));
  add(s, 'h3', 'Memory (KiB)');
  add(s, 'p', 'Live keys and values after an inference, and while it attends, the leaving chunk included; the most pages that were committed; temporaries; what the method itself needs.', 'note');
  const kib = bytes => bytes === null ? '–' : number(bytes / 1024, 1);
  table(s, ['arm', 'live, mean', 'live, peak', 'attending, mean', 'attending, peak', 'committed, peak', 'transient, peak', 'method'], lines(row => [
    row.kv_bytes.mean, row.kv_bytes.peak, row.kv_bytes.attending.mean, row.kv_bytes.attending.peak, row.kv_bytes.committed_peak,
    row.kv_bytes.transient_peak, row.kv_bytes.method].map(kib)));
  add(s, 'h3', 'Work');
  table(s, ['arm', 'tokens at end', 'MFLOP mean', 'MFLOP last', 'trace MB an episode'], lines((row, d) => [
    number(d.cached_tokens_last, 0), short(row.flops.mean / 1e6), short(row.flops.last / 1e6), number(d.trace_mb_per_episode, 3)]));
  if (data.clock) {
    add(s, 'h3', 'Clocks that do not wait');
    clocks(s);
  }
}

function clocks(s) {
  const gap = i => i.value === null ? '–' : [signed(i.value, 1), bounds(i, x => signed(x, 1))];
  add(s, 'p', 'Latency as the world saw it. Stale: control steps without a fresh action. Lost: success below the same cache under the frozen clock.', 'note');
  table(s, ['arm', 'rate, Hz', 'think ms, p50', 'p95', 'stale an episode', 'stale %', 'deadlines missed %', 'success', 'lost, points', 'pairs', 'frozen twin'],
    data.clock.map(row => ({group: cellName(row), arm: row.arm, cells: [row.arm, short(row.control_rate_hz), number(row.think_ms.p50, 1),
      number(row.think_ms.p95, 1), number(row.stale_steps, 1), number(100 * row.stale_share, 1), number(100 * row.missed_deadlines, 1),
      percent(row.success), gap(row.lost_points), row.pairs, row.twin || '–']})));
  const same = data.clock.filter(row => row.same_clock_full);
  if (same.length) {
    add(s, 'h3', 'Against the full cache under the same clock');
    table(s, ['arm', 'pairs', 'success', 'full', 'won alone', 'full alone', 'difference, points', 'McNemar p'], same.map(row => {
      const f = row.same_clock_full;
      return {group: cellName(row), arm: row.arm, cells: [row.arm, f.pairs, percent(row.success), percent(f.success), f.only_arm, f.only_full,
        gap(f.difference_points), pValue(f.mcnemar_p)]};
    }));
  }
  // A line a cache (arms with one frozen twin), where several rates were run.
  const grid = add(s, 'div', undefined, 'plots');
  for (const name of cells()) {
    const rows = data.clock.filter(row => cellName(row) === name && row.twin && row.control_rate_hz !== null && row.success.value !== null);
    const twins = [...new Set(rows.map(row => row.twin))];
    if (new Set(rows.map(row => row.control_rate_hz)).size < 2) continue;
    plot(grid, twins.map(twin => {
      const line = rows.filter(row => row.twin === twin).sort((a, b) => a.control_rate_hz - b.control_rate_hz);
      return {type: 'scatter', mode: 'lines+markers', name: twin, x: line.map(r => r.control_rate_hz), y: line.map(r => 100 * r.success.value),
        line: {color: colour(twin), width: 2}, marker: {size: 8},
        error_y: {type: 'data', symmetric: false, color: colour(twin), thickness: 1.2,
          array: line.map(r => 100 * (r.success.high - r.success.value)), arrayminus: line.map(r => 100 * (r.success.value - r.success.low))},
        customdata: line.map(r => [r.think_ms.p50, r.think_ms.p95]),
        hovertemplate: `${twin} at %{x} Hz<br>%{y:.1f}%<br>thinks %{customdata[0]:.0f} ms, p95 %{customdata[1]:.0f} ms<extra></extra>`};
    }), layout(name + ': success while the world goes on', 'control steps in a second of thinking', 'success (%)',
      {xaxis: {type: 'log', title: {text: 'control steps in a second of thinking'}, tickvals: [...new Set(rows.map(r => r.control_rate_hz))], gridcolor: css('--line')},
        yaxis: {title: {text: 'success (%)'}, range: [-4, 108], gridcolor: css('--line')}}));
  }
}

// Over the memory cells and over the controls.
function suite() {
  const s = section('suite', 'Over cells', 'Success is the mean of the cells (tasks at delays), costs are ratios of sums over them, against full on the same episodes. Controls need no memory: no cache method can lose them.');
  const kind = row => row.kind === 'memory' ? 'memory cells' : 'controls';
  table(s, ['arm', 'cells', 'episodes', 'success', 'decisive right', 'by chance', 'cells above chance', 'live KV', 'mean of the cells', 'attending KV', 'FLOPs', 'decoder, last 10%', 'inference, last 10%'],
    data.suite.map(row => { const f = row.against_full; return {group: kind(row), arm: row.arm, cells: [row.arm, row.cells, row.episodes,
      percent(row.success), percent(row.decisive), row.chance === null ? '–' : number(100 * row.chance, 1),
      row.cells_above_chance === null ? '–' : `${row.cells_above_chance} of ${row.cells}`,
      ...(f ? [ratio(f.kv_bytes_ratio), number(f.kv_bytes_ratio_of_cells, 3), ratio(f.kv_attending_ratio), ratio(f.flops_ratio),
        timeRatio(f.decoder_ratio), timeRatio(f.latency_last10_ratio)] : Array(6).fill('–'))]}; }));
}

// Where a rule that goes by the clock is found out.
function cueTimes() {
  const s = section('cue', 'When the cue was shown', 'Thirds of the times at which the first cue may be shown, and of the waits from the last one to the decision, at each delay. Percent, Wilson\'s 95% intervals; over all episodes of the memory tasks, and below of each task.');
  for (const [by, cue] of Object.entries(data.cue)) {
    const title = by === 'onset' ? 'By when the first cue was shown' : 'By how long it had to be remembered';
    add(s, 'h3', title);
    const picture = add(s, 'img');
    picture.src = cue.picture;
    picture.alt = title;
    const seconds = part => part.low_s === null ? '' : ` (${number(part.low_s, 1)} to ${number(part.high_s, 1)} s)`;
    const rows = cue.rows.map(row => ({group: (row.task === null ? `${row.tasks} memory tasks` : row.task) + (row.delay ? ', ' + row.delay : ''), arm: row.arm,
      task: row.task, cells: [row.arm, ...row.parts.flatMap(part => [part.episodes + seconds(part), percent(part.success), percent(part.decisive)])]}));
    const header = ['arm', ...['first third', 'middle', 'last third'].flatMap(part => [`${part}: episodes`, 'success', 'decisive right'])];
    const pooled = rows.filter(row => row.task === null), each = rows.filter(row => row.task !== null);
    table(s, header, pooled.length ? pooled : each);
    if (!pooled.length) continue;
    const more = add(s, 'details');
    add(more, 'summary', 'of each task');
    table(more, header, each);
  }
}

function trade() {
  const s = section('trade', 'Success against bytes');
  const grid = add(s, 'div', undefined, 'plots');
  for (const name of cells()) {
    const rows = data.rows.filter(row => cellName(row) === name && row.success.rate !== null);
    plot(grid, rows.map(row => ({
      type: 'scatter', mode: 'markers', name: row.arm, showlegend: true,
      x: [row.kv_bytes.mean / 1024], y: [100 * row.success.rate], marker: {color: colour(row.arm), size: 11},
      error_y: {type: 'data', symmetric: false, array: [100 * (row.success.high - row.success.rate)],
        arrayminus: [100 * (row.success.rate - row.success.low)], color: colour(row.arm), thickness: 1.5},
      hovertemplate: `${row.arm}<br>%{x:.1f} KiB<br>%{y:.1f}%<extra></extra>`})),
    layout(name, 'live KV bytes, mean (KiB)', 'success (%)', {yaxis: {title: {text: 'success (%)'}, range: [-4, 108], gridcolor: css('--line')}}));
  }
}

function curves() {
  const s = section('curves', 'Latency and memory against the step', 'Median and, shaded, up to the 95th percentile over episodes.');
  const grid = add(s, 'div', undefined, 'plots');
  for (const name of cells()) {
    const list = data.curves.filter(c => cellName(c) === name).sort((a, b) => arms.indexOf(a.arm) - arms.indexOf(b.arm));
    const band = list.flatMap(c => [
      {type: 'scatter', mode: 'lines', x: c.step.concat(c.step.slice().reverse()), y: c.p95.concat(c.p50.slice().reverse()),
        fill: 'toself', fillcolor: colour(c.arm) + '22', line: {width: 0}, hoverinfo: 'skip', showlegend: false, legendgroup: c.arm},
      {type: 'scatter', mode: 'lines', name: c.arm, legendgroup: c.arm, x: c.step, y: c.p50, line: {color: colour(c.arm), width: 2}}]);
    const top = Math.max(...list.flatMap(c => c.p95.slice().sort((a, b) => a - b).slice(0, Math.max(1, Math.floor(c.p95.length * .95)))));
    plot(grid, band, layout(name + ': latency', 'control step', 'ms an inference', {yaxis: {title: {text: 'ms an inference'}, range: [0, top * 1.1], gridcolor: css('--line')}}));
    plot(grid, list.map(c => ({type: 'scatter', mode: 'lines', name: c.arm, x: c.step, y: c.bytes.map(b => b / 1024),
      line: {color: colour(c.arm), width: 2}})), layout(name + ': cache', 'control step', 'live KV bytes (KiB)'));
  }
  add(s, 'h3', 'By part');
  const parts = add(s, 'div', undefined, 'plots');
  for (const name of cells()) {
    const rows = data.details.filter(d => cellName(d) === name);
    plot(parts, PARTS.map((part, i) => ({type: 'bar', name: part, x: rows.map(r => r.arm), y: rows.map(r => r.parts_ms[part].mean),
      marker: {color: PALETTE[i % PALETTE.length]}})), layout(name, '', 'ms, mean', {barmode: 'stack'}));
  }
}

function comparison() {
  const c = data.comparison;
  const s = section('comparison', 'Differences on the same episodes');
  if (c.why_not !== undefined) { add(s, 'p', c.why_not); return; }
  for (const note of c.notes) add(s, 'p', note, 'warning');
  add(s, 'p', `Arm minus reference. Intervals: Tango's score interval for success (pooled: over all pairs); resampled for ratios. Pooled costs are ratios of sums. Holm: adjusted for all cells. Non-inferior: worse by less than ${c.margin_points} points (one-sided 2.5%).`, 'note');
  const rows = c.comparisons.flatMap(arm => arm.cells.map(cell => ({arm, cell})));
  const name = cell => cell.pooled ? `${cell.kind === 'memory' ? 'memory cells' : 'controls'} (${cell.cells})` : cellName(cell);
  table(s, ['arm', 'pairs', 'difference, points', 'valid at any stop', 'won by it alone', 'by reference alone', 'McNemar p', 'Holm', 'verdict', 'live KV', 'attending KV', 'FLOPs', 'decoder, last 10%', 'p95', 'inference, last 10%', 'p95', 'found with 80% power'],
    rows.map(({arm, cell}) => ({group: name(cell), arm: arm.arm, sort: name(cell), cells: [`${arm.arm} − ${arm.reference}`, cell.pairs + (cell.left_out ? ` (${cell.left_out} left out)` : ''),
      points(cell.difference), points(cell.difference_anytime), cell.only_arm, cell.only_reference, pValue(cell.mcnemar_p), pValue(cell.holm_p),
      cell.non_inferiority.verdict, ratio(cell.kv_bytes_ratio), ratio(cell.kv_attending_ratio), number(cell.flops_ratio.value, 3),
      timeRatio(cell.decoder_ratio), mark(number(cell.decoder_p95_ratio, 3)), timeRatio(cell.latency_last10_ratio), mark(number(cell.latency_last10_p95_ratio, 3)),
      cell.power.detectable_difference_80 === null ? '–' : number(100 * cell.power.detectable_difference_80, 1) + ' points']}))
      .sort((a, b) => order(a.sort) - order(b.sort)));
  function order(n) { const i = cells().indexOf(n); return i < 0 ? 1e6 : i; }
  const forest = rows.slice().reverse();
  plot(s, [{type: 'scatter', mode: 'markers', x: forest.map(r => 100 * r.cell.difference.value), y: forest.map(r => `${r.arm.arm}: ${name(r.cell)}`),
    marker: {color: forest.map(r => colour(r.arm.arm)), size: 9},
    error_x: {type: 'data', symmetric: false, color: css('--soft'), thickness: 1.4,
      array: forest.map(r => 100 * (r.cell.difference.high - r.cell.difference.value)),
      arrayminus: forest.map(r => 100 * (r.cell.difference.value - r.cell.difference.low))}}],
  layout('Success, difference in points (95%)', 'points', '', {height: 120 + 28 * forest.length, shapes: [
    {type: 'line', x0: 0, x1: 0, y0: 0, y1: 1, yref: 'paper', line: {color: css('--text'), width: 1}},
    {type: 'line', x0: -c.margin_points, x1: -c.margin_points, y0: 0, y1: 1, yref: 'paper', line: {color: '#d55e00', width: 1, dash: 'dot'}}]}), 'wide');
  const duels = c.comparisons.flatMap(arm => arm.episodes.map(e => ({group: cellName(e), arm: arm.arm,
    cells: [arm.arm, e.seed, e.won === 'arm' ? arm.arm : arm.reference, e.cache_parts_at_step ?? '–', e.actions_part_at_step ?? '–']})));
  if (duels.length) {
    add(s, 'h3', `Who won which episode (${duels.length} disagreements)`);
    const details = add(s, 'details');
    details.open = duels.length <= 20;
    add(details, 'summary', 'episodes that one of the two alone won');
    table(details, ['arm', 'seed', 'won by', 'caches part at step', 'actions part at step'], duels);
  }
}

function timelines() {
  const s = section('timelines', 'Chunk timelines', 'What became of each chunk of cached tokens, step by step. Outlined: chunks that hold the cue; shaded: while it was shown; grey: while something was shown that is to be ignored. Lines: stages reached.');
  if (!data.timelines.length) { add(s, 'p', 'No episodes.'); return; }
  const pick = add(s, 'select');
  data.timelines.forEach((t, i) => {
    const outcome = (t.arms || []).map(a => `${a.arm}: ${a.outcome}`).join(', ');
    const option = add(pick, 'option', `${cellName(t)}, seed ${t.seed} (${outcome})`);
    option.value = i;
  });
  const legend = add(s, 'p', undefined, 'note');
  STATES.forEach((state, i) => {
    add(legend, 'span', undefined, 'swatch').style.background = STATE_COLOURS[i];
    legend.append(state + '   ');
  });
  const grid = add(s, 'div');
  const draw = () => {
    grid.replaceChildren();
    const arms = data.timelines[pick.value].arms || [];
    drawKeepSets(grid, arms);
    for (const arm of arms) drawTimeline(grid, arm);
  };
  pick.addEventListener('change', draw);
  draw();
}

// Control steps between two inferences.
function stepsOf(t) { return t.inferences.length > 1 ? t.inferences[1] - t.inferences[0] : 4; }

// The first and the last chunk that saw each cue.
function cueChunks(t) {
  const span = stepsOf(t) * t.chunk_blocks;
  return t.cues.map(([begin, end]) => [Math.floor(begin / span), Math.floor(Math.max(begin, end - 1e-6) / span)]);
}

// What each arm did with each chunk last, one row an arm, and under it the scores of two of them; the ground marks the
// chunks that those two treat differently.
function drawKeepSets(parent, arms) {
  const decided = arms.map(arm => {
    const last = [];
    for (const [at, chunk, action, score, reason] of arm.changes) last[chunk] = {at, action, score, reason};
    return last;
  });
  const chunks = Math.max(0, ...decided.map(last => last.length));
  if (!chunks || arms.length < 2) return;
  const numbers = [...Array(chunks).keys()], names = arms.map(arm => arm.arm);
  const states = decided.map(last => numbers.map(c => last[c] ? last[c].action : null));
  const hover = decided.map((last, i) => numbers.map(c => !last[c] ? '' :
    `${names[i]}, chunk ${c}: ${STATES[last[c].action]} at step ${arms[i].inferences[last[c].at]}` +
    `<br>score ${last[c].score}, ${data.reasons[last[c].reason] || 'reason ' + last[c].reason}`));
  const scored = i => new Set(decided[i].filter(Boolean).map(d => d.score)).size > 1;

  const bar = add(parent, 'p', 'Compare ', 'note'), picks = [];
  const gate = names.indexOf('gated'), first = gate >= 0 ? gate : 0;
  const others = names.map((name, i) => i).filter(i => i !== first);
  for (const chosen of [first, others.find(scored) ?? others[0]]) {
    const pick = add(bar, 'select');
    names.forEach((name, i) => { const option = add(pick, 'option', name); option.value = i; option.selected = i === chosen; });
    picks.push(pick);
    if (picks.length === 1) bar.append(' with ');
  }
  const place = add(parent, 'div');
  const draw = () => {
    place.replaceChildren();
    const pair = picks.map(pick => Number(pick.value));
    const differ = numbers.filter(c => states[pair[0]][c] !== states[pair[1]][c] && pair.every(i => states[i][c] !== null));
    const traces = [{type: 'heatmap', z: states, x: numbers, y: names, text: hover, hovertemplate: '%{text}<extra></extra>',
      zmin: -.5, zmax: 3.5, colorscale: STATE_SCALE, showscale: false, xgap: 1, ygap: 3}];
    const sides = [...new Set(pair)].filter(scored);
    const within = i => decided[i].filter(Boolean).every(d => d.score >= 0 && d.score <= 1);
    const together = sides.every(within);
    sides.forEach((i, k) => {
      const x = numbers.filter(c => decided[i][c]);
      traces.push({type: 'scatter', mode: 'markers', name: names[i], x, y: x.map(c => decided[i][c].score), yaxis: k && !together ? 'y3' : 'y2',
        text: x.map(c => hover[i][c]), hovertemplate: '%{text}<extra></extra>',
        marker: {size: k ? 9 : 7, color: colour(names[i]), symbol: k ? 'diamond-open' : 'circle'}});
    });
    const scores = sides.length ? .45 : 0;
    const axis = more => Object.assign({gridcolor: css('--line'), zeroline: false, automargin: true}, more);
    const shapes = differ.map(c => ({type: 'rect', x0: c - .5, x1: c + .5, y0: 0, y1: 1, yref: 'paper', layer: 'below',
      fillcolor: css('--text'), opacity: .18, line: {width: 0}}));
    for (const [from, to] of cueChunks(arms[0])) {
      shapes.push({type: 'rect', x0: from - .5, x1: to + .5, y0: 0, y1: 1, yref: 'paper', line: {color: '#cc79a7', width: 2}});
    }
    const name = i => names[pair[i]];
    plot(place, traces, layout(`Keep-sets: ${name(0)} and ${name(1)} differ in ${differ.length} of ${chunks} chunks`, 'chunk', undefined,
      {height: 150 + 26 * arms.length + (sides.length ? 170 : 0), shapes, showlegend: sides.length > 1, legend: {orientation: 'h', y: 1.0, x: 1, xanchor: 'right', yanchor: 'bottom'},
        margin: {l: 110, r: 40, t: 60, b: 45}, xaxis: axis({title: {text: 'chunk (outlined: saw the cue)'}, anchor: sides.length ? 'y2' : 'y'}),
        yaxis: axis({domain: [scores ? scores + .06 : 0, 1], autorange: 'reversed'}),
        yaxis2: axis({domain: [0, scores], title: {text: together ? 'score' : `score, ${names[sides[0]]}`}}),
        yaxis3: axis({overlaying: 'y2', side: 'right', showgrid: false, title: {text: together ? '' : `score, ${names[sides[1]]}`}})}));
  };
  for (const pick of picks) pick.addEventListener('change', draw);
  draw();
}

function drawTimeline(parent, t) {
  const n = t.inferences.length, chunks = Math.ceil(n / Math.max(1, t.chunk_blocks));
  const state = [], hover = [];
  for (let c = 0; c < chunks; ++c) {
    state.push(new Array(n).fill(null));
    hover.push(new Array(n).fill(''));
    for (let i = c * t.chunk_blocks; i < n; ++i) {
      state[c][i] = 0;
      hover[c][i] = `chunk ${c}: window`;
    }
  }
  for (const [at, chunk, action, score, reason] of t.changes) {
    if (chunk >= chunks) continue;
    const text = `chunk ${chunk}: ${STATES[action]}, since step ${t.inferences[at]}` +
      `<br>score ${score}, ${data.reasons[reason] || 'reason ' + reason}`;
    for (let i = at; i < n; ++i) { state[chunk][i] = action; hover[chunk][i] = text; }
  }
  const bands = (list, fillcolor) => list.map(([begin, end]) => ({type: 'rect', x0: begin, x1: end, y0: 0, y1: 1, yref: 'paper',
    fillcolor, opacity: .35, line: {width: 0}}));
  const shapes = bands(t.cues, '#cc79a7').concat(bands(t.decoys, '#7f7f7f'));
  const step = stepsOf(t);
  for (const [from, to] of cueChunks(t)) {
    shapes.push({type: 'rect', x0: from * step * t.chunk_blocks - step / 2, x1: t.inferences[n - 1] + step / 2, y0: from - .5, y1: to + .5,
      line: {color: '#cc79a7', width: 2}});
  }
  const annotations = [];
  t.stages.filter(stage => stage.step >= 0).forEach(stage => {
    shapes.push({type: 'line', x0: stage.step, x1: stage.step, y0: 0, y1: 1, yref: 'paper',
      line: {color: css('--text'), width: stage.decisive ? 2 : 1, dash: 'dot'}});
    annotations.push({x: stage.step, y: 1, yref: 'paper', yanchor: 'bottom', text: stage.name, showarrow: false, font: {size: 10}});
  });
  plot(parent, [{type: 'heatmap', z: state, x: t.inferences, text: hover, hovertemplate: 'step %{x}<br>%{text}<extra></extra>',
    zmin: -.5, zmax: 3.5, colorscale: STATE_SCALE, showscale: false, xgap: n < 200 ? 1 : 0, ygap: 1}],
  layout(`${t.arm}: ${t.outcome}`, 'control step', 'chunk', {height: Math.min(420, 150 + 9 * chunks), shapes, annotations,
    margin: {l: 60, r: 15, t: 60, b: 45}}));
}

function videos() {
  const s = section('videos', 'Videos of disagreements', 'The same episode under each arm, at the speed of the simulation.');
  if (!data.videos.length) { add(s, 'p', 'The arms agree on every episode.'); return; }
  for (const v of data.videos) {
    const title = add(s, 'h3', `${cellName(v)}, seed ${v.seed} `);
    const button = add(title, 'button', 'play all');
    const row = add(s, 'div', undefined, 'duel');
    const players = [];
    for (const arm of v.arms) {
      const figure = add(row, 'figure');
      if (arm.file) {
        const video = add(figure, 'video');
        video.src = arm.file + '#t=0.05';  // shows its first frame
        video.controls = true;
        video.muted = true;
        video.preload = 'metadata';
        players.push(video);
      } else {
        add(figure, 'p', 'no video', 'note');
      }
      add(figure, 'figcaption', `${arm.arm}: ${arm.outcome}`);
    }
    button.addEventListener('click', () => players.forEach(p => { p.currentTime = 0; p.play(); }));
  }
}

function protocol() {
  const s = section('protocol', 'Protocol', 'Under which rules these numbers were taken.');
  if (!Array.isArray(data.meta.protocol)) {
    add(s, 'p', 'This run was made before protocols were recorded; see the config below.');
    return;
  }
  const card = add(s, 'div', undefined, 'card');
  const extra = [['GL renderer', data.meta.gl_renderer], ['checkpoint', data.meta.checkpoint_hash], ['config', data.meta.config_hash],
    ['scenes', data.meta.assets_hash]].filter(item => item[1]);
  for (const part of data.meta.protocol.concat([{title: 'Hashes and renderer', items: extra}])) {
    const box = add(card, 'section');
    add(box, 'h3', part.title);
    const list = add(box, 'dl');
    for (const [what, value] of part.items) {
      add(list, 'dt', what);
      add(list, 'dd', value);
    }
  }
}

function config() {
  const s = section('config', 'Config');
  add(s, 'pre', typeof data.meta.config === 'string' ? data.meta.config : JSON.stringify(data.meta.config, null, 1));
  const p = add(s, 'p', 'Numbers for other programs: ', 'note');
  for (const file of ['table.csv', 'episodes.csv']) {
    const a = add(p, 'a', file);
    a.href = file;
    p.append(' ');
  }
}

heading();
if (data.rows.length) {
  for (const draw of [success, ...(data.suite ? [suite] : []), ...(Object.keys(data.cue).length ? [cueTimes] : []), costs, trade, comparison, curves, timelines, videos]) draw();
} else {
  add(main, 'p', 'No episodes yet.');
}
protocol();
config();
