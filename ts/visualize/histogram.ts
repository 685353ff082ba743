/** How often numbers fall into equal parts of [-limit, limit]; the last part has its end, too. */
export interface Histogram {
  readonly limit: number;
  readonly counts: readonly number[];
}

/** Heights grow with the logarithm of the counts: one number alone is seen beside a million. */
export function barHeights({ counts }: Histogram): number[] {
  const most = Math.log1p(Math.max(...counts, 1));
  return counts.map((count) => Math.log1p(count) / most);
}
