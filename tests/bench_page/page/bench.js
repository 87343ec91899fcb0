// Draws the same data with our charts and with uPlot in turns, and leaves medians in window.__bench.
import init, { Bench } from './bench_page.js';
import uPlot from './uPlot.esm.js';

const CASES = [
  { series: 20, points: 1000 },
  { series: 100, points: 1000 },
  { series: 20, points: 10000 },
  // One panel with the 166,650 points of uPlot's own benchmark, and one with very many series.
  { series: 3, points: 55550 },
  { series: 1000, points: 500 },
];
const WIDTH = 1200, HEIGHT = 500;
const SETS = 4, WARM_UP = 8;
const ROUNDS = Number(new URLSearchParams(location.search).get('rounds')) || 60;

const errors = (window.__bench_errors = []);
addEventListener('error', (event) => errors.push(event.message));
addEventListener('unhandledrejection', (event) => errors.push(String(event.reason)));

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// Script time is the call alone; total adds reading one pixel, which makes the browser carry out what it had only noted.
function timed(context, draw) {
  const start = performance.now();
  draw();
  const called = performance.now();
  context.getImageData(0, 0, 1, 1);
  return { script: called - start, total: performance.now() - start };
}

const breathe = () => new Promise((resolve) => setTimeout(resolve, 0));

// Lines of 1 px: the width that both take by themselves where there is so much to draw.
function uplot(place, colors) {
  const axis = { stroke: '#9aa3ad', grid: { stroke: '#2a2f36', width: 1 }, ticks: { show: false } };
  const series = colors.map((stroke, at) => ({ label: `series ${at}`, stroke, width: 1, points: { show: false } }));
  return new uPlot(
    {
      width: WIDTH, height: HEIGHT, pxAlign: 1, cursor: { show: false }, legend: { show: false },
      axes: [axis, axis], series: [{}, ...series],
    },
    null,
    place,
  );
}

async function measure({ series, points }) {
  const canvas = document.getElementById('ours'), place = document.getElementById('theirs');
  const bench = new Bench(canvas, series, points, SETS);
  const colors = bench.colors(), times = bench.times();
  const sets = Array.from({ length: SETS }, (_, set) =>
    [times, ...Array.from({ length: series }, (_, at) => bench.values(set, at))]);
  place.replaceChildren();
  const plot = uplot(place, colors);
  const drawers = [
    { name: 'ours', context: canvas.getContext('2d'), draw: (set) => { if (!bench.draw(set)) throw Error('nothing drawn'); } },
    // A batch draws before it returns; setData alone waits for the end of the task.
    { name: 'uplot', context: plot.ctx, draw: (set) => plot.batch(() => plot.setData(sets[set])) },
  ];
  const taken = Object.fromEntries(drawers.map(({ name }) => [name, { script: [], total: [] }]));
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const { name, context, draw } of drawers) {
      const { script, total } = timed(context, () => draw((round + WARM_UP) % SETS));
      if (round >= 0) { taken[name].script.push(script); taken[name].total.push(total); }
      await breathe();
    }
  }
  bench.free();
  plot.destroy();
  const result = { series, points, rounds: ROUNDS };
  for (const [name, { script, total }] of Object.entries(taken)) {
    result[name] = { script_ms: median(script), total_ms: median(total), script_ms_min: Math.min(...script), total_ms_min: Math.min(...total) };
  }
  return result;
}

await init({ module_or_path: 'bench_page_bg.wasm' });
const only = new URLSearchParams(location.search).get('case');
const results = [];
for (const [at, size] of CASES.entries()) {
  if (only === null || Number(only) === at) results.push(await measure(size));
}
window.__bench = { width: WIDTH, height: HEIGHT, pixel_ratio: devicePixelRatio, browser: navigator.userAgent, results };
document.getElementById('said').textContent = JSON.stringify(window.__bench, null, 2);
