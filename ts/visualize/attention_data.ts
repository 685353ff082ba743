import type { Grid } from './pooling';
import type { VisualToken } from './token';

/** What attends to what: `self` in models with one kind of attention; `encoder`, `decoder` and `cross` (decoder to encoder) in encoder-decoders. */
export type AttentionPartName = 'self' | 'encoder' | 'decoder' | 'cross';

/** The attention of one kind in all layers. */
export interface AttentionPart {
  readonly name: AttentionPartName;
  /** The tokens that attend: rows. */
  readonly queries: readonly VisualToken[];
  /** The tokens that are attended to: columns. */
  readonly keys: readonly VisualToken[];
  /** How many layers there are, and heads of each. */
  readonly layers: number;
  readonly heads: readonly number[];
  /** By layer, then by head: `[queries, keys]`, row-major; each row adds up to 1. */
  readonly probabilities: readonly (readonly Float32Array[])[];
}

/** What a picture shows at first. */
export interface AttentionChoice {
  readonly part: AttentionPartName;
  readonly layer: number;
  /** `mean`: of all heads of the layer. */
  readonly head: number | 'mean';
}

/** Which tokens each token of a text attends to (Vaswani et al. 2017, "Attention Is All You Need", section 3.2.1). */
export interface AttentionData {
  readonly parts: readonly AttentionPart[];
  readonly choice: AttentionChoice;
  /** Characters of a line of the terminal that the picture for it fits into. */
  readonly columns: number;
}

/** How people call a part. */
export const partTitles: Readonly<Record<AttentionPartName, string>> = {
  self: 'Attention',
  encoder: 'Attention in the encoder',
  decoder: 'Attention in the decoder',
  cross: 'Attention of the decoder to the encoder',
};

/** The part that is shown. */
export function chosenPart({ parts, choice }: AttentionData): AttentionPart {
  const found = parts.find(({ name }) => name === choice.part) ?? parts[0];
  if (!found) throw new RangeError('there is no attention to show');
  return found;
}

/** What the choice shows of a part: one head, or the mean of a layer's heads. */
export function headMap(part: AttentionPart, { layer, head }: AttentionChoice): Grid {
  const { queries, keys, probabilities } = part;
  const heads = probabilities[layer] ?? [];
  const size = { rows: queries.length, columns: keys.length };
  if (head !== 'mean') return { ...size, values: heads[head] ?? new Float32Array(size.rows * size.columns) };
  const mean = new Float32Array(size.rows * size.columns);
  for (const values of heads) {
    for (let place = 0; place < mean.length; place++) {
      mean[place] = (mean[place] ?? 0) + (values[place] ?? 0) / heads.length;
    }
  }
  return { ...size, values: mean };
}

/** `layer 5, head 2`. */
export function describeChoice({ layer, head }: AttentionChoice): string {
  return `layer ${layer}, ${head === 'mean' ? 'mean of all heads' : `head ${head}`}`;
}
