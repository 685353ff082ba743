/**
 * Markdown tables of what run.mjs wrote with --json: every engine with the ratio of octoformer int8, measured in turns with it, to it.
 *
 *   node bench/report.mjs FIGURES.json...
 */
import { readFileSync } from 'node:fs';
import { decoderTasks, encoderTasks, translationTasks } from './model.mjs';
import { digits, median } from './statistics.mjs';

const files = process.argv.slice(2);
if (files.length === 0) throw new Error('usage: node bench/report.mjs FIGURES.json...');
const subject = 'octoformer int8';

const spreadText = ({ median, least, most }, unit = 1) =>
  `${digits(median / unit)} (${digits(least / unit)} to ${digits(most / unit)})`;
const engineText = ({ name, version }) => `${name}${version ? ` ${version}` : ''}`;

function print(heading, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  console.log([line(heading), line(heading.map(() => '---')), ...rows.map(line), ''].join('\n'));
}

/** "2.1x": the subject's rate over this one's, the median of the rounds' quotients: the machine's phases are the same in both. */
function ratioText(subjectRate, rate) {
  if (!subjectRate || subjectRate === rate) return '';
  const quotients = rate.values.map((value, round) => subjectRate.values[round] / value);
  return `, ${median(quotients).toFixed(2)}x`;
}

function printModels(title, part, allTasks, rounds) {
  for (const { threads, memoryBytesPerSecond, engines } of part?.results ?? []) {
    const ours = engines.find(({ name }) => name === subject);
    console.log(`${title}, ${threads} threads, ${rounds} rounds, memory ${digits(memoryBytesPerSecond / 1e9)} GB/s\n`);
    print(
      ['engine', ...part.tasks.map((task) => allTasks[task].title), 'load s', 'peak MB', 'as the first'],
      engines.map((engine) => [
        engineText(engine),
        ...part.tasks.map((task) => {
          const rate = engine.rates[task];
          return rate ? `${spreadText(rate)}${ratioText(ours?.rates[task], rate)}` : '';
        }),
        engine.loadSeconds?.toFixed(2) ?? '',
        engine.peakBytes ? digits(engine.peakBytes / 1e6) : '',
        engine.cosine?.toFixed(4) ?? (engine.sameTokens === undefined ? '' : `${engine.sameTokens} tokens`),
      ]),
    );
  }
  for (const { name, reason } of part?.missing ?? []) console.log(`Without ${name}: ${reason}\n`);
}

function printProducts({ results }, rounds) {
  for (const { threads, engines } of results) {
    const ours = engines.find(({ name }) => name === subject);
    console.log(`int8 product, ${threads} threads, ${rounds} rounds\n`);
    print(
      ['engine', 'G multiply-adds/s', 'of the peak'],
      engines.map((engine) => [
        engineText(engine),
        engine.rate ? `${spreadText(engine.rate, 1e9)}${ratioText(ours?.rate, engine.rate)}` : '',
        engine.ofPeak ? `${(100 * engine.ofPeak.median).toFixed(0)} %` : '',
      ]),
    );
  }
}

for (const file of files) {
  const { date, machine, rounds, products, decoder, encoder, encoderDecoder } = JSON.parse(readFileSync(file, 'utf8'));
  console.log(`## ${date}, ${machine.cpu}, ${machine.isa}\n`);
  if (products) printProducts(products, rounds);
  printModels('SmolLM2-135M-Instruct', decoder, decoderTasks, rounds);
  printModels('all-MiniLM-L6-v2', encoder, encoderTasks, rounds);
  printModels('Marian with random weights', encoderDecoder, translationTasks, rounds);
}
