/** The results as tables on a terminal. */
import { digits, printTable } from './statistics.mjs';

const percent = (fraction) => `${(100 * fraction).toFixed(0)} %`;
const shapeOf = ({ shape }) => shape.join('x');
const spreadText = ({ median, least, most }) => `${digits(median)} (${digits(least)}-${digits(most)})`;

export function printKernels(kernels) {
  console.log('\nThe machine (median; G = 10^9)');
  printTable(
    ['limit', 'threads', 'value', 'unit'],
    kernels.peaks.map((line) => {
      const unit = 'gmacs' in line ? 'gmacs' : 'gb_per_s';
      return [
        `${line.bench} (${line.isa})`,
        String(line.threads),
        line[unit],
        unit === 'gmacs' ? 'G multiply-adds/s' : 'GB/s',
      ];
    }),
  );
  console.log('\nMatrix products, epilogue included, against the peak measured in turns with them');
  printTable(
    ['rows x depth x columns', 'form', 'threads', 'G mul-add/s', 'of peak'],
    kernels.prefill.map((line) => [
      shapeOf(line),
      `${line.form} (${line.isa})`,
      String(line.threads),
      line.gmacs,
      percent(line.of_peak),
    ]),
  );
  console.log('\nOne row (decoding), against the memory bandwidth measured in turns with it');
  printTable(
    ['rows x depth x columns', 'form', 'threads', 'GB/s', 'of memory'],
    kernels.decode.map((line) => [
      shapeOf(line),
      `${line.form} (${line.isa})`,
      String(line.threads),
      line.gb_per_s,
      percent(line.of_memory),
    ]),
  );
  console.log('\nint8, quantization of the activations included, against what was measured in turns with it');
  printTable(
    ['rows x depth x columns', 'scheme', 'threads', 'rate', 'against', 'fraction'],
    kernels.int8.map((line) => [
      shapeOf(line),
      `${line.scheme} (${line.isa})`,
      String(line.threads),
      line.rate,
      { int8_prefill: 'peak of int8', int8_decode: 'memory', int8_scheme: 'vector-wise' }[line.bench],
      percent(line.fraction),
    ]),
  );
}

export function printModel({ engines }, tasks) {
  console.log('  median (least-most)');
  printTable(
    ['engine', ...Object.values(tasks).map(({ title }) => title), 'load s', 'peak MB', 'of memory', 'as the first'],
    engines.map(
      ({ name, version, rates, loadSeconds, peakBytes, decodeFractionOfMemory, error, sameTokens, cosine }) => [
        `${name}${version ? ` ${version}` : ''}${error ? `: ${error.trim().split('\n').at(-1)}` : ''}`,
        ...Object.keys(tasks).map((task) => (rates[task] ? spreadText(rates[task]) : '')),
        loadSeconds ?? '',
        peakBytes ? peakBytes / 1e6 : '',
        decodeFractionOfMemory ? percent(decodeFractionOfMemory) : '',
        cosine?.toFixed(4) ?? (sameTokens === undefined ? '' : `${sameTokens} tokens`),
      ],
    ),
  );
}

export function printResponsiveness(measured) {
  const { promptTokens, prefillSeconds, eventLoopDelayMilliseconds, abortMilliseconds, layerMilliseconds } = measured;
  console.log(`\nWhile a prompt of ${promptTokens} tokens is read (${prefillSeconds.toFixed(1)} s)`);
  printTable(
    ['what', 'ms'],
    [
      ['longest delay of the event loop', eventLoopDelayMilliseconds.most],
      ['99th percentile of the delay', eventLoopDelayMilliseconds.p99],
      ['an abort is honoured after at most', abortMilliseconds],
      ['one layer takes', layerMilliseconds],
    ],
  );
}

export function printProducts(results) {
  console.log(
    '\n512 x 4096 x 4096 in int8, G multiply-adds/s: median (least-most); ours with quantization, bias and residual',
  );
  printTable(
    ['engine', 'threads', 'G mul-add/s', 'of the peak'],
    results.flatMap(({ threads, engines }) =>
      engines.map(({ name, version, rate, ofPeak, error }) => [
        `${name}${version ? ` ${version}` : ''}${error ? `: ${error.trim().split('\n').at(-1)}` : ''}`,
        String(threads),
        rate ? spreadText({ median: rate.median / 1e9, least: rate.least / 1e9, most: rate.most / 1e9 }) : '',
        ofPeak ? percent(ofPeak.median) : '',
      ]),
    ),
  );
}
