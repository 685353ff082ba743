import { MergeTable } from '../../../ts/tokenization/merge_table';

it('finds the rank and the result of every pair, of equal pairs the last, and no other', () => {
  const ids = Array.from({ length: 40 }, (_, i) => 1000 * i);
  const pairs = ids.flatMap((left) => ids.filter((right) => (left + right) % 3000 !== 0).map((right) => [left, right]));
  const triples = [...pairs, pairs[7] as number[]].flatMap(([left, right], rank) => [
    left as number,
    right as number,
    rank + 5,
  ]);
  const table = new MergeTable(Int32Array.from(triples));
  for (const left of ids) {
    for (const right of ids) {
      const place = pairs.findIndex((pair) => pair[0] === left && pair[1] === right);
      const rank = place === 7 ? pairs.length : place;
      expect(table.rank(left, right)).toBe(rank);
      if (rank >= 0) expect(table.result(rank)).toBe(rank + 5);
    }
  }
  expect(new MergeTable(new Int32Array()).rank(0, 0)).toBe(-1);
});
