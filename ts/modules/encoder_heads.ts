import type { GraphBuilder } from '../graph/builder';
import type { ActivationName } from '../graph/program';
import type { Value } from '../graph/value';
import { linear } from './linear';
import { type ModuleKinds, nestedLeaf } from './nested';
import { layerNorm } from './norm';

/**
 * The token rows that a head is asked about, `[rows, features]`: which ones the caller of the model says (all tokens for a label a token, the
 * first of each sequence for a label a sequence). `hidden` is the output `last_hidden_state`, unless another value is already.
 */
export function headRows(g: GraphBuilder, hidden: Value): Value {
  g.outputLastHidden(hidden);
  const rows = g.buffer('rows', hidden.columns);
  g.add({ op: 'gather_rows', input: hidden, out: rows });
  return rows;
}

/**
 * The mean of all tokens of a sequence, in the row of each of them, `[tokens, features]`: attention whose scores are all 0, so that every token
 * has the same weight. Its probabilities are no output.
 * @param heads in how many parts attention takes the features, a divisor of them
 */
export function tokenMean(g: GraphBuilder, hidden: Value, heads: number): Value {
  const layer = g.cacheLayer({ kv_heads: heads, head_dim: hidden.columns / heads });
  const out = g.buffer('tokens', hidden.columns);
  const pattern = { kind: 'full' } as const;
  g.add({ op: 'attention', query: hidden, key: hidden, value: hidden, out, layer, heads, scale: 0, pattern });
  return out;
}

/** Where the parts of a masked language model's head lie, as full paths. */
export interface MaskedHeadNames {
  readonly transform: string;
  readonly norm: string;
  readonly decoder: string;
  /**
   * Where the decoder's bias may lie: under its own name first, which Python's forward reads where a file has both; the last name is the one that
   * files mostly have. None: it has no bias.
   */
  readonly biases: readonly string[];
  readonly kinds: ModuleKinds;
}

export interface MaskedHeadOptions {
  readonly names: MaskedHeadNames;
  readonly vocabularySize: number;
  /** The width of the table of words, which the decoder shares. */
  readonly width: number;
  readonly activation: ActivationName;
  readonly epsilon: number;
  /** Biases of the transform and the norm. */
  readonly bias?: boolean;
  readonly normBias?: boolean;
  /** The full name of the table of words. */
  readonly table: string;
}

/**
 * Scores of all words, as the output `logits`: `table norm(activation(W x + b)) + bias` (Devlin et al. 2018, section 3.1). The table is that of the
 * embeddings unless the checkpoint has one of the decoder's own.
 */
export function maskedLanguageHead(g: GraphBuilder, rows: Value, options: MaskedHeadOptions): void {
  const { names, width, activation, epsilon, vocabularySize, bias = true, normBias = true } = options;
  const { kinds } = names;
  const transformed = nestedLeaf(g, names.transform, kinds, (name) =>
    linear(g, name, rows, { outFeatures: width, bias, activation }),
  );
  const normed = nestedLeaf(g, names.norm, kinds, (name) =>
    layerNorm(g, name, transformed, { epsilon, bias: normBias }),
  );
  const own = `${names.decoder}.weight`;
  const table = g.hasTensor(own) ? own : options.table;
  const shift = names.biases.find((name) => g.hasTensor(name)) ?? names.biases.at(-1);
  const keeping = g.keeping(names.decoder, 'vocabulary', table);
  const weight = g.matrix(table, [{ name: table, shape: [vocabularySize, width] }], keeping);
  const offset = shift === undefined ? undefined : g.vector(shift, [{ name: shift, shape: [vocabularySize] }]);
  const logits = g.buffer('rows', vocabularySize);
  g.add({
    op: 'linear',
    input: normed,
    weight: weight.index,
    ...(offset ? { bias: offset.index } : {}),
    out: logits,
  });
  nestedLeaf(g, names.decoder, kinds, (name) =>
    g.leaf(name, 'Linear', `in_features=${width}, out_features=${vocabularySize}, bias=${offset ? 'True' : 'False'}`, [
      ...weight.parameters.map((parameter) => ({ name: 'weight', ...parameter })),
      ...(offset?.parameters ?? []).map((parameter) => ({ name: 'bias', ...parameter })),
    ]),
  );
  g.output('logits', logits);
}

/** A label for each row, as the output `logits`. */
export function labelHead(g: GraphBuilder, path: string, kinds: ModuleKinds, rows: Value, labels: number): void {
  const logits = nestedLeaf(g, path, kinds, (name) =>
    linear(g, name, rows, { outFeatures: labels, bias: true, place: 'float' }),
  );
  g.output('logits', logits);
}

/** Where an answer begins and ends: the outputs `start_logits` and `end_logits`, a number a row each. */
export function spanHead(g: GraphBuilder, name: string, rows: Value): void {
  const both = linear(g, name, rows, { outFeatures: 2, bias: true, place: 'float' });
  g.output('start_logits', g.slice(both, 0, 1));
  g.output('end_logits', g.slice(both, 1, 1));
}
