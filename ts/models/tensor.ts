/** Numbers with their shape, row-major. */
export interface Tensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/**
 * Cuts rows of all sequences, one after another, into a tensor a sequence: views on the same memory.
 * @param counts rows of each sequence
 */
export function splitRows(data: Float32Array, counts: readonly number[]): Tensor[] {
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const columns = rows === 0 ? 0 : data.length / rows;
  let first = 0;
  return counts.map((count) => {
    const part = data.subarray(first * columns, (first + count) * columns);
    first += count;
    return { data: part, dims: [count, columns] };
  });
}

/** Cuts data into tensors of the given shapes, one after another. */
export function splitShapes(data: Float32Array, shapes: readonly (readonly number[])[]): Tensor[] {
  let first = 0;
  return shapes.map((dims) => {
    const size = dims.reduce((product, dim) => product * dim, 1);
    const part = data.subarray(first, first + size);
    first += size;
    return { data: part, dims };
  });
}
