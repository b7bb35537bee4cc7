/** Latencies and the rate over time, as one SVG that reads in light and dark. */
import type { Second } from './figures.ts';

const width = 820;
const height = 260;
const margin = { left: 56, right: 56, top: 34, bottom: 34 };
const inner = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
const colours = { p95: '#d97706', p50: '#2563eb', rate: '#9ca3af', text: '#6b7280' };

export function drawPicture(name: string, series: readonly Second[]): string {
  const seconds = Math.max(1, ...series.map(({ second }) => second));
  const slowest = niceMax(Math.max(1, ...series.map(({ p95 }) => p95)));
  const busiest = niceMax(Math.max(1, ...series.map(({ requests }) => requests)));
  const x = (second: number) => fixed(margin.left + (second / seconds) * inner.width);
  const y = (value: number, most: number) => fixed(margin.top + (1 - value / most) * inner.height);
  const path = (read: (second: Second) => number, most: number, colour: string) =>
    `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${series
      .map((it) => `${x(it.second)},${y(read(it), most)}`)
      .join(' ')}"/>`;
  const text = (at: { x: number; y: number; anchor?: string; colour?: string }, words: string) =>
    `<text x="${at.x}" y="${at.y}" text-anchor="${at.anchor ?? 'start'}" fill="${at.colour ?? colours.text}">${words}</text>`;
  const ticks = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => {
    const at = y(share, 1);
    return [
      `<line x1="${margin.left}" x2="${width - margin.right}" y1="${at}" y2="${at}" stroke="${colours.rate}" stroke-opacity="0.3"/>`,
      text({ x: margin.left - 8, y: at + 4, anchor: 'end' }, String(fixed(share * slowest))),
      text({ x: width - margin.right + 8, y: at + 4 }, String(fixed(share * busiest))),
      text({ x: x(share * seconds), y: height - 12, anchor: 'middle' }, `${Math.round(share * seconds)} s`),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11" role="img">`,
    `<title>load ${name}: latency and requests a second</title>`,
    ...ticks,
    path(({ requests }) => requests, busiest, colours.rate),
    path(({ p50 }) => p50, slowest, colours.p50),
    path(({ p95 }) => p95, slowest, colours.p95),
    text({ x: margin.left, y: 18 }, 'ms:'),
    text({ x: margin.left + 24, y: 18, colour: colours.p50 }, 'p50'),
    text({ x: margin.left + 52, y: 18, colour: colours.p95 }, 'p95'),
    text({ x: width - margin.right, y: 18, anchor: 'end', colour: colours.rate }, 'requests a second'),
    '</svg>',
    '',
  ].join('\n');
}

/** The next of 1, 2, 4, 5 and 8 times a power of ten: its quarters are read easily. */
function niceMax(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 5, 8, 10].find((step) => step * power >= value) ?? 10) * power;
}

function fixed(value: number): number {
  return Number(value.toFixed(1));
}
