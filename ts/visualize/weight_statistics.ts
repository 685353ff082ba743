import type { Histogram } from './histogram';
import { type PooledGrid, stepOf } from './pooling';

/** What is told of the numbers of a parameter. All are finite: models with others are not loaded. */
export interface WeightStatistics {
  readonly count: number;
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
  let [count, sum, squares, absmax] = [0, 0, 0, 0];
  for await (const values of read()) {
    for (let place = 0; place < values.length; place++) {
      const value = values[place] ?? 0;
      const magnitude = Math.abs(value);
      sum += value;
      squares += value * value;
      if (magnitude > absmax) absmax = magnitude;
    }
    blocks.add(count, values);
    count += values.length;
  }
  const most = Math.max(count, 1); // a tensor may have no numbers
  const mean = sum / most;
  return {
    count,
    absmax,
    mean,
    standardDeviation: Math.sqrt(Math.max(0, squares / most - mean * mean)),
    histogram: await histogramOf(read, absmax),
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

  /** @param first place of the first value among all numbers, row by row */
  add(first: number, values: Float32Array): void {
    const { columns, values: blocks, rowStep, columnStep } = this.grid;
    let row = Math.floor(first / this.columns);
    let column = first - row * this.columns;
    // From the end of a block's columns to that of the next one.
    for (let place = 0; place < values.length; ) {
      const block = Math.floor(row / rowStep) * columns + Math.floor(column / columnStep);
      const end = Math.min(this.columns, (Math.floor(column / columnStep) + 1) * columnStep);
      const last = Math.min(values.length, place + end - column);
      column += last - place;
      let largest = blocks[block] ?? 0;
      for (; place < last; place++) {
        const magnitude = Math.abs(values[place] ?? 0);
        if (magnitude > largest) largest = magnitude;
      }
      blocks[block] = largest;
      if (column === this.columns) {
        column = 0;
        row++;
      }
    }
  }
}

async function histogramOf(read: () => AsyncIterable<Float32Array>, limit: number): Promise<Histogram> {
  const counts = new Array<number>(histogramParts).fill(0);
  const scale = limit === 0 ? 0 : histogramParts / (2 * limit);
  for await (const values of read()) {
    for (let place = 0; place < values.length; place++) {
      const part = Math.floor((values[place] ?? 0) * scale + histogramParts / 2);
      const index = part === histogramParts ? part - 1 : part; // the largest number is the end of the last part
      counts[index] = (counts[index] ?? 0) + 1;
    }
  }
  return { limit, counts };
}
