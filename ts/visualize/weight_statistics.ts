import type { Histogram } from './histogram';
import { type PooledGrid, stepOf } from './pooling';

/** What is told of the numbers of a parameter. NaN and infinite ones are counted, and are in nothing else. */
export interface WeightStatistics {
  /** How many numbers there are, and how many of them are not finite. */
  readonly count: number;
  readonly nonFinite: number;
  readonly absmax: number;
  readonly mean: number;
  /** Of the numbers as they are (divided by their count, not by one less). */
  readonly standardDeviation: number;
  /** From -absmax to absmax. */
  readonly histogram: Histogram;
  /** The largest magnitude of each block, up to 64 of these in a row and in a column; a vector is one row. */
  readonly magnitudes: PooledGrid;
}

/** Even, so that zero is between two parts. */
const histogramParts = 64;
const mostBlocks = 64;

/**
 * Reads the numbers twice: for their range, then for the histogram over it.
 * @param read gives them from the first to the last, row by row
 */
export async function weightStatistics(
  shape: readonly number[],
  read: () => AsyncIterable<Float32Array>,
): Promise<WeightStatistics> {
  const [rows, columns] = shape.length === 1 ? [1, shape[0] ?? 0] : [shape[0] ?? 0, shape[1] ?? 0];
  const blocks = new MagnitudeBlocks(rows, columns);
  let [count, nonFinite, sum, squares, absmax] = [0, 0, 0, 0, 0];
  for await (const values of read()) {
    for (let place = 0; place < values.length; place++) {
      const value = values[place] ?? 0;
      if (!Number.isFinite(value)) {
        nonFinite++;
        continue;
      }
      const magnitude = Math.abs(value);
      sum += value;
      squares += value * value;
      if (magnitude > absmax) absmax = magnitude;
      blocks.add(count + place, magnitude);
    }
    count += values.length;
  }
  const finite = Math.max(count - nonFinite, 1);
  const mean = sum / finite;
  const histogram = await histogramOf(read, absmax);
  return {
    count,
    nonFinite,
    absmax,
    mean,
    standardDeviation: Math.sqrt(Math.max(0, squares / finite - mean * mean)),
    histogram,
    magnitudes: blocks.grid,
  };
}

/** Keeps the largest magnitude of each block of a matrix. */
class MagnitudeBlocks {
  readonly grid: PooledGrid;

  constructor(
    rows: number,
    private readonly columns: number,
  ) {
    const [rowStep, columnStep] = [stepOf(rows, mostBlocks), stepOf(columns, mostBlocks)];
    const [poolRows, poolColumns] = [Math.ceil(rows / rowStep), Math.ceil(columns / columnStep)];
    const values = new Float32Array(poolRows * poolColumns);
    this.grid = { rows: poolRows, columns: poolColumns, values, rowStep, columnStep };
  }

  /** @param place among all numbers, row by row */
  add(place: number, magnitude: number): void {
    const { columns, values, rowStep, columnStep } = this.grid;
    const row = Math.floor(place / this.columns);
    const column = place - row * this.columns;
    const block = Math.floor(row / rowStep) * columns + Math.floor(column / columnStep);
    if (magnitude > (values[block] ?? 0)) values[block] = magnitude;
  }
}

async function histogramOf(read: () => AsyncIterable<Float32Array>, limit: number): Promise<Histogram> {
  const counts = new Array<number>(histogramParts).fill(0);
  const scale = limit === 0 ? 0 : histogramParts / (2 * limit);
  for await (const values of read()) {
    for (const value of values) {
      if (!Number.isFinite(value)) continue;
      const part = Math.min(histogramParts - 1, Math.floor(value * scale + histogramParts / 2));
      counts[part] = (counts[part] ?? 0) + 1;
    }
  }
  return { limit, counts };
}
