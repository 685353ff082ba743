/** Numbers of a matrix, row-major. */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** A grid that stands for a larger one: each number is the largest of a block of up to `rowStep` rows and `columnStep` columns. */
export interface PooledGrid extends Grid {
  readonly rowStep: number;
  readonly columnStep: number;
}

/** Makes a grid of non-negative numbers small enough to be drawn: what stands out stays. NaN counts as 0. */
export function poolLargest(grid: Grid, mostRows: number, mostColumns: number): PooledGrid {
  const rowStep = stepOf(grid.rows, mostRows);
  const columnStep = stepOf(grid.columns, mostColumns);
  if (rowStep === 1 && columnStep === 1) return { ...grid, rowStep, columnStep };
  const rows = Math.ceil(grid.rows / rowStep);
  const columns = Math.ceil(grid.columns / columnStep);
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < grid.rows; row++) {
    const first = Math.floor(row / rowStep) * columns;
    for (let column = 0; column < grid.columns; column++) {
      const place = first + Math.floor(column / columnStep);
      const value = grid.values[row * grid.columns + column] ?? 0;
      if (value > (values[place] ?? 0)) values[place] = value;
    }
  }
  return { rows, columns, values, rowStep, columnStep };
}

/** How many of `count` neighbours become one, so that at most `most` are left. */
export function stepOf(count: number, most: number): number {
  return Math.max(1, Math.ceil(count / most));
}
