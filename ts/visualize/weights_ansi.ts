import { barHeights, type Histogram } from './histogram';
import { numberText, shapeText } from './number_text';
import { painter, table, visible } from './terminal_text';
import type { WeightsData } from './weights_data';

/** Eighths of a line's height. */
const bars = ['\u2581', '\u2582', '\u2583', '\u2584', '\u2585', '\u2586', '\u2587', '\u2588'] as const;
/** Parts of a histogram that one character stands for. */
const partsOfBar = 4;

/** A line for each parameter, with a small histogram. */
export function weightsAnsi({ weights }: WeightsData): string {
  const paint = painter(true);
  const head = ['parameter', 'shape', 'kept', 'absmax', 'mean', 'sd', '-absmax .. absmax'];
  const rows = weights.map(({ name, shape, form, absmax, mean, standardDeviation, histogram }) => [
    visible(name),
    shapeText(shape),
    form,
    ...[absmax, mean, standardDeviation].map(numberText),
    paint('cyan', sparkline(histogram)),
  ]);
  return table([head.map((name) => paint('dim', name)), ...rows], [3, 4, 5]);
}

/** Counts as bars, whose heights follow the logarithm; nothing is a space. */
function sparkline({ limit, counts }: Histogram): string {
  const sums: number[] = [];
  for (let first = 0; first < counts.length; first += partsOfBar) {
    sums.push(counts.slice(first, first + partsOfBar).reduce((sum, count) => sum + count, 0));
  }
  return barHeights({ limit, counts: sums })
    .map((share) => (share === 0 ? ' ' : (bars[Math.ceil(share * bars.length) - 1] ?? bars[0])))
    .join('');
}
