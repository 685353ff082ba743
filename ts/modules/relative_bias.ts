import type { RelativeBias } from '../graph/attention_ops';
import type { GraphBuilder } from '../graph/builder';
import { checkModuleOptions, type OptionKinds } from './module_options';

export interface RelativeBiasOptions {
  readonly buckets: number;
  /** Rows of the checkpoint's table, the first of which are the buckets: as many as these by default. */
  readonly storedBuckets?: number;
  readonly heads: number;
  readonly maxDistance: number;
  /** Keys after the query have buckets of their own: for encoders. */
  readonly bidirectional: boolean;
}

const optionKinds: OptionKinds<RelativeBiasOptions> = {
  buckets: 'count',
  storedBuckets: 'count?',
  heads: 'count',
  maxDistance: 'count',
  bidirectional: 'flag',
};

/**
 * Learned biases of the scores by the distance of key and query (Raffel et al. 2020, section 2.1): a table `[buckets, heads]`, which
 * all layers of a stack share. Give it to their attention as `relativeBias`.
 */
export function relativeBias(g: GraphBuilder, name: string, options: RelativeBiasOptions): RelativeBias {
  checkModuleOptions('nn.relativeBias()', options, optionKinds);
  const { buckets, storedBuckets = buckets, heads, maxDistance, bidirectional } = options;
  const label = `${g.pathOf(name)}.weight`;
  const keeping = g.keeping(g.pathOf(name), 'float', label);
  const part = (first: number, count: number) =>
    g.matrix(label, [{ name: label, shape: [storedBuckets, heads], rows: { take_rows: { first, count } } }], keeping);
  const table = part(0, buckets);
  // No op reads the others: what the model is saved to has them, too.
  if (storedBuckets > buckets) part(buckets, storedBuckets - buckets);
  g.leaf(
    name,
    'Embedding',
    `${storedBuckets}, ${heads}`,
    table.parameters.map((parameter) => ({ name: 'weight', ...parameter })),
  );
  return { table: table.index, max_distance: maxDistance, bidirectional };
}
