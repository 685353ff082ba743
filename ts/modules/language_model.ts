import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import { headRows } from './encoder_heads';
import { linear } from './linear';
import { checkModuleOptions, type OptionKinds } from './module_options';

export interface LayerStackOptions {
  /** What the list of layers is called; `layers` by default. */
  readonly list?: string;
  readonly layers: number;
  /** What enters the first layer: `[tokens, features]`. */
  readonly stream: Value;
  /** Builds layer `index` within the list of layers. */
  readonly block: (input: Value, index: number) => Value;
  /** What comes after the last layer, mostly a norm. */
  readonly finish?: (stream: Value) => Value;
}

const stackKinds: OptionKinds<LayerStackOptions> = {
  list: 'text?',
  layers: 'number',
  stream: 'given',
  block: 'given',
  finish: 'given?',
};

/**
 * Layers one after another, with the outputs that every model has: `hidden_states.I` (I: what enters layer I; the last: after
 * `finish`) and `last_hidden_state`, which is given back.
 */
export function layerStack(g: GraphBuilder, options: LayerStackOptions): Value {
  checkModuleOptions('nn.layerStack()', options, stackKinds);
  const { list = 'layers', layers, block, finish } = options;
  let { stream } = options;
  g.scope(list, 'ModuleList', () => {
    for (let index = 0; index < layers; index++) {
      g.output(`hidden_states.${index}`, stream);
      stream = block(stream, index);
    }
  });
  const last = finish ? finish(stream) : stream;
  g.output(`hidden_states.${layers}`, last);
  g.output('last_hidden_state', last);
  return last;
}

/** The full names of the matrices that the embedding and the head of a language model read. */
export interface TiedMatrices {
  readonly table: string;
  readonly head: string;
}

/**
 * Which matrices are read where the embedding's may be the head's too: mostly only the embedding is stored, in some files only
 * the head. A file with both is read as it is, as transformers 5 does where they differ.
 */
export function tieMatrices(g: GraphBuilder, tied: boolean, table: string, head = 'lm_head.weight'): TiedMatrices {
  if (!tied) return { table, head };
  if (!g.hasTensor(head)) return { table, head: table };
  return g.hasTensor(table) ? { table, head } : { table: head, head };
}

export interface LanguageModelHeadOptions {
  readonly vocabularySize: number;
  /** The full name of the matrix. */
  readonly weight: string;
  /** The module's name; `lm_head` by default. */
  readonly name?: string;
  readonly bias?: boolean;
  /** The full name of a tensor `[1, vocabularySize]` that is added to the logits. */
  readonly biasRow?: string;
  /** Multiplies the logits. */
  readonly scale?: number;
  /** Bounds them then: softcap * tanh(logit / softcap). */
  readonly softcap?: number;
}

const headKinds: OptionKinds<LanguageModelHeadOptions> = {
  vocabularySize: 'count',
  weight: 'text',
  name: 'text?',
  bias: 'flag?',
  biasRow: 'text?',
  scale: 'number?',
  softcap: 'number?',
};

/** `logits` of the rows that were asked for; `hidden` is the output `last_hidden_state`, unless another value is already. */
export function languageModelHead(g: GraphBuilder, hidden: Value, options: LanguageModelHeadOptions): void {
  checkModuleOptions('nn.languageModelHead()', options, headKinds);
  const { vocabularySize, weight, name = 'lm_head', bias = false, biasRow, scale, softcap } = options;
  const rows = headRows(g, hidden);
  const logits = linear(g, name, rows, {
    outFeatures: vocabularySize,
    bias,
    weight,
    place: 'vocabulary',
    ...(biasRow ? { biasRow } : {}),
  });
  if (scale !== undefined || softcap !== undefined) {
    const cap = softcap === undefined ? {} : { softcap };
    g.add({ op: 'scale', input: logits, factor: scale ?? 1, ...cap, out: logits });
  }
  g.output('logits', logits);
}

/** What is above a decoder's layers: nothing where it is bare, `labels` where it has these, else scores of tokens. */
export interface DecoderTop {
  /** Without a head, for the task `base`. */
  readonly bare: boolean;
  readonly labels?: LabelLayer;
}

/** A layer that gives rows labels. */
export interface LabelLayer {
  readonly name: string;
  readonly count: number;
  readonly bias: boolean;
}

/** `logits` of the rows that were asked for, where the decoder has a head: `[rows, vocabulary]` or `[rows, labels]`. */
export function decoderHead(
  g: GraphBuilder,
  hidden: Value,
  { bare, labels }: DecoderTop,
  language: LanguageModelHeadOptions,
): void {
  if (bare) return;
  if (!labels) {
    languageModelHead(g, hidden, language);
    return;
  }
  const { name, count, bias } = labels;
  g.output('logits', linear(g, name, headRows(g, hidden), { outFeatures: count, bias, place: 'float' }));
}
