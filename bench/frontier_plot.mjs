/**
 * Draws what frontier.mjs measured: change of perplexity against the CPU time of a prompt, of a token, and against bytes; and prints the
 * table as Markdown.
 *
 *   node bench/frontier_plot.mjs FIGURES.json PLOT.svg
 */
import { readFileSync, writeFileSync } from 'node:fs';

const [figures, target] = process.argv.slice(2);
if (!figures || !target) throw new Error('usage: node bench/frontier_plot.mjs FIGURES.json PLOT.svg');
const rows = Object.entries(JSON.parse(readFileSync(figures, 'utf8'))).map(([name, found]) => ({ name, ...found }));

const width = 360;
const height = 420;
const margin = { left: 56, right: 12, top: 34, bottom: 44 };
/** Changes span four powers of ten; what is nearer to 0 than this (or below it) is drawn at the foot. */
const leastChange = 0.02;
const changeTicks = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100];
const mostChange = 200;

const panels = [
  { title: `prompt of 512, CPU ms`, of: ({ promptMilliseconds }) => promptMilliseconds?.median },
  { title: 'one token, CPU ms', of: ({ tokenMilliseconds }) => tokenMilliseconds?.median },
  { title: 'weights, MB', of: ({ bytes }) => bytes / 1e6 },
];

const changeOf = ({ changePercent }) => Math.max(changePercent, leastChange);
const escapeText = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function y(change) {
  const share = Math.log(change / leastChange) / Math.log(mostChange / leastChange);
  return margin.top + (1 - share) * (height - margin.top - margin.bottom);
}

/** Round numbers, four to eight of them, from 0 to a little beyond the largest. */
function ticksTo(largest) {
  const rough = largest / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  return Array.from({ length: Math.ceil(largest / step) + 1 }, (_, place) => place * step);
}

function drawPanel({ title, of }, left) {
  const points = rows
    .map((row, index) => ({
      number: index + 1,
      value: of(row),
      change: row.changePercent === undefined ? NaN : changeOf(row),
    }))
    .filter(({ value, change }) => Number.isFinite(value) && Number.isFinite(change));
  const ticks = ticksTo(Math.max(...points.map(({ value }) => value)));
  const end = width - margin.right;
  const x = (value) => margin.left + (value / ticks.at(-1)) * (end - margin.left);
  const foot = height - margin.bottom;
  const parts = [
    `<g transform="translate(${left},0)">`,
    `<text x="${margin.left}" y="20" font-weight="bold">${title}</text>`,
  ];
  for (const change of changeTicks) {
    const label = change === leastChange ? `≤ ${change}` : `${change}`;
    parts.push(`<path d="M${margin.left} ${y(change).toFixed(1)}H${end}" stroke="#ddd"/>`);
    parts.push(`<text x="${margin.left - 6}" y="${(y(change) + 4).toFixed(1)}" text-anchor="end">${label}</text>`);
  }
  for (const tick of ticks) {
    parts.push(
      `<text x="${x(tick).toFixed(1)}" y="${foot + 18}" text-anchor="middle">${Number(tick.toPrecision(3))}</text>`,
    );
  }
  parts.push(`<path d="M${margin.left} ${margin.top}V${foot}H${end}" fill="none" stroke="#333"/>`);
  // The frontier: nothing is both cheaper and nearer to float32.
  const frontier = points
    .filter((one) => !points.some((other) => other !== one && other.value <= one.value && other.change < one.change))
    .sort((one, other) => one.value - other.value);
  const steps = frontier.map(({ value, change }) => `${x(value).toFixed(1)} ${y(change).toFixed(1)}`);
  parts.push(`<path d="M${steps.join('L')}" fill="none" stroke="#2a7" stroke-width="1.5" stroke-dasharray="4 3"/>`);
  for (const { number, value, change } of points) {
    const place = `cx="${x(value).toFixed(1)}" cy="${y(change).toFixed(1)}"`;
    const color = rows[number - 1].name.startsWith('int8') ? '#c33' : '#36c';
    parts.push(
      `<circle ${place} r="8" fill="#fff" fill-opacity="0.8" stroke="${color}"><title>${escapeText(rows[number - 1].name)}</title></circle>`,
    );
    parts.push(
      `<text x="${x(value).toFixed(1)}" y="${(y(change) + 3.5).toFixed(1)}" text-anchor="middle" font-size="9">${number}</text>`,
    );
  }
  parts.push('</g>');
  return parts.join('\n');
}

function drawLegend(left) {
  const lines = rows.map(
    ({ name }, index) =>
      `<text x="${left}" y="${margin.top + 12 + index * 18}">${index + 1}  ${escapeText(name)}</text>`,
  );
  return lines.join('\n');
}

const all = panels.length * width + 240;
writeFileSync(
  target,
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${all} ${height}" font-family="sans-serif" font-size="11" fill="#222">`,
    `<rect width="${all}" height="${height}" fill="#fff"/>`,
    `<text x="4" y="${margin.top - 4}" font-size="10">change, %</text>`,
    ...panels.map((panel, place) => drawPanel(panel, place * width)),
    drawLegend(panels.length * width + 16),
    '</svg>',
    '',
  ].join('\n'),
);

const signed = (value) => `${value < 0 ? '' : '+'}${value.toFixed(2)} %`;
console.log('| | scheme | perplexity | change | MB | prompt tokens/s | tokens/s |\n|---|---|---|---|---|---|---|');
for (const [
  index,
  { name, perplexity, changePercent, bytes, promptMilliseconds, tokenMilliseconds },
] of rows.entries()) {
  const cells = [
    index + 1,
    name,
    perplexity?.toFixed(3) ?? '',
    changePercent ? signed(changePercent) : '',
    (bytes / 1e6).toFixed(1),
    promptMilliseconds ? ((512 * 1000) / promptMilliseconds.median).toFixed(0) : '',
    tokenMilliseconds ? (1000 / tokenMilliseconds.median).toFixed(1) : '',
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
