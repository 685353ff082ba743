import type { RowArrangement } from '../graph/weight_request';

/**
 * Rows of a matrix that keeps the query, the key and the value of each head together (GPT-NeoX, BLOOM): all queries, all keys, all
 * values.
 */
export function interleavedHeads(heads: number, headDim: number): readonly RowArrangement[] {
  return [{ permute_rows: { dims: [heads, 3, headDim], axes: [1, 0, 2] } }];
}

/**
 * Rows of a matrix that keeps, for each head of keys and values, its queries, the key and the value (Falcon's new
 * architecture): all queries, all keys, all values.
 */
export function interleavedGroups(heads: number, kvHeads: number, headDim: number): readonly RowArrangement[] {
  const queries = heads / kvHeads;
  const group = (queries + 2) * headDim;
  return [
    ...Array.from({ length: kvHeads }, (_, index) => ({
      take_rows: { first: index * group, count: queries * headDim },
    })),
    {
      permute_rows: { dims: [kvHeads, queries + 2, headDim], axes: [1, 0, 2] },
      take_rows: { first: heads * headDim, count: 2 * kvHeads * headDim },
    },
  ];
}
