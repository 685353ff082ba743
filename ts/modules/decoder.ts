import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import { type AttentionOptions, attention } from './attention';
import { baseModel, baseName } from './base_model';
import { embedding } from './embedding';
import { type GatedFeedForwardOptions, gatedFeedForward } from './feed_forward';
import { type DecoderTop, decoderHead, layerStack, tieMatrices } from './language_model';
import { type MixtureOfExpertsOptions, mixtureOfExperts } from './mixture_of_experts';
import { checkModuleOptions, type OptionKinds } from './module_options';
import { rmsNorm } from './norm';
import type { RopeParameters } from './rope_parameters';
import { type RotaryTable, rotaryEmbedding } from './rotary_embedding';

/** Norms of a branch by their names: of what enters it, and of what it gives before that is added to the stream. */
export interface BranchNorms {
  readonly before?: string;
  readonly after?: string;
}

/** The norms of a layer's two branches. */
export interface LayerNorms {
  readonly attention: BranchNorms;
  readonly feedForward: BranchNorms;
}

const llamaNorms: LayerNorms = {
  attention: { before: 'input_layernorm' },
  feedForward: { before: 'post_attention_layernorm' },
};

/** A layer's experts, in place of its feed-forward network. */
export interface LayerExperts
  extends Omit<MixtureOfExpertsOptions, 'residual' | 'kind' | 'outFeatures' | 'activation'> {
  /** What the block is called; `mlp` by default. */
  readonly name?: string;
}

export interface PreNormBlockOptions {
  /** The family's name as Python's classes begin with it, such as `Llama`. */
  readonly family: string;
  readonly epsilon: number;
  /** Added to the weights of all norms (Gemma: 1). */
  readonly normOffset?: number;
  /** Llama's by default. */
  readonly norms?: LayerNorms;
  readonly attention: Omit<AttentionOptions, 'residual' | 'kind' | 'outFeatures'>;
  readonly feedForward: Omit<GatedFeedForwardOptions, 'residual' | 'kind' | 'outFeatures'>;
  readonly experts?: LayerExperts;
}

const blockKinds: OptionKinds<PreNormBlockOptions> = {
  family: 'text',
  epsilon: 'number',
  normOffset: 'number?',
  norms: 'given?',
  attention: 'given',
  feedForward: 'given',
  experts: 'given?',
};

/** x + attention(norm(x)), then x + feedForward(norm(x)): the block of Llama and most decoders since. */
export function preNormBlock(g: GraphBuilder, name: string, input: Value, options: PreNormBlockOptions): Value {
  checkModuleOptions('nn.preNormBlock()', options, blockKinds);
  const { family, norms = llamaNorms } = options;
  const outFeatures = input.columns;
  const norm = normOptions(options);
  const { headNorm } = options.attention;
  const { name: expertsName = 'mlp' } = options.experts ?? {};

  const branch = (stream: Value, { before, after }: BranchNorms, run: (input: Value, residual?: Value) => Value) => {
    const normed = before ? rmsNorm(g, before, stream, norm) : stream;
    if (!after) return run(normed, stream);
    const out = rmsNorm(g, after, run(normed), { ...norm, inPlace: true });
    g.add({ op: 'elementwise', kind: 'add', left: stream, right: out, out });
    return out;
  };
  const body = () => {
    const attended = branch(input, norms.attention, (value, residual) =>
      attention(g, 'self_attn', value, {
        ...options.attention,
        ...(headNorm ? { headNorm: { kind: norm.kind, ...headNorm } } : {}),
        kind: `${family}Attention`,
        outFeatures,
        ...(residual ? { residual } : {}),
      }),
    );
    return branch(attended, norms.feedForward, (value, residual) => {
      const rest = { outFeatures, ...(residual ? { residual } : {}) };
      const kind = `${family}MLP`;
      if (!options.experts) return gatedFeedForward(g, 'mlp', value, { ...options.feedForward, kind, ...rest });
      const { activation } = options.feedForward;
      const { name: _, ...experts } = options.experts;
      return mixtureOfExperts(g, expertsName, value, {
        expertKind: kind,
        ...experts,
        kind: `${family}SparseMoeBlock`,
        activation,
        ...rest,
      });
    });
  };
  const names = [norms.attention.before, norms.attention.after, norms.feedForward.before, norms.feedForward.after];
  const order = ['self_attn', expertsName, ...names.filter((each) => each !== undefined)];
  return g.scope(name, `${family}DecoderLayer`, body, { order });
}

function normOptions({ family, epsilon, normOffset }: Pick<PreNormBlockOptions, 'family' | 'epsilon' | 'normOffset'>) {
  return {
    epsilon,
    kind: `${family}RMSNorm`,
    ...(normOffset === undefined ? {} : { weightOffset: normOffset }),
  };
}

/** The sizes that decoders of Llama's kind have in common. */
export interface DecoderSizes {
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly innerFeatures: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly epsilon: number;
  /** Hugging Face's name, such as `silu`. */
  readonly activation: string;
  readonly tied: boolean;
}

export interface PreNormDecoderOptions
  extends Pick<
      CausalDecoderOptions,
      'family' | 'bare' | 'labels' | 'ropes' | 'normOffset' | 'embeddingScale' | 'softcap'
    >,
    Pick<PreNormBlockOptions, 'norms'> {
  /** The only rotary embedding, where there is one. */
  readonly rope?: RopeParameters;
  /** What is particular to a layer's attention. `rotary`: an index into `ropes`, 0 by default; `false` leaves positions out (NoPE). */
  readonly attention?: (
    layer: number,
  ) => Partial<Omit<AttentionOptions, 'rotary'>> & { readonly rotary?: number | false };
  readonly feedForward?: Pick<GatedFeedForwardOptions, 'bias' | 'fused'>;
  /** The experts of a layer, where it has them. */
  readonly experts?: (layer: number) => LayerExperts | undefined;
}

const decoderKinds: OptionKinds<PreNormDecoderOptions> = {
  family: 'text',
  bare: 'flag?',
  labels: 'given?',
  ropes: 'given?',
  rope: 'given?',
  normOffset: 'number?',
  embeddingScale: 'number?',
  softcap: 'number?',
  norms: 'given?',
  attention: 'given?',
  feedForward: 'given?',
  experts: 'given?',
};

/** A causal decoder whose layers are all `preNormBlock`s with rotary positions: Llama and its many kin. */
export function preNormDecoder(g: GraphBuilder, sizes: DecoderSizes, options: PreNormDecoderOptions): void {
  checkModuleOptions('nn.preNormDecoder()', options, decoderKinds);
  const { family, rope, ropes = rope ? [rope] : [], feedForward, norms, normOffset } = options;
  const { heads, kvHeads, headDim, innerFeatures, activation, epsilon } = sizes;
  causalDecoder(g, {
    ...sizes,
    ...options,
    ropes,
    block: (input, layer, tables) => {
      const { rotary: index = 0, ...attention } = options.attention?.(layer) ?? {};
      const rotary = index === false ? undefined : tables[index];
      const experts = options.experts?.(layer);
      return preNormBlock(g, String(layer), input, {
        family,
        epsilon,
        ...(normOffset === undefined ? {} : { normOffset }),
        ...(norms ? { norms } : {}),
        attention: { heads, kvHeads, headDim, ...attention, ...(rotary ? { rotary } : {}) },
        feedForward: { innerFeatures, activation, ...feedForward },
        ...(experts ? { experts } : {}),
      });
    },
  });
}

export interface CausalDecoderOptions extends Pick<DecoderTop, 'labels'> {
  readonly family: string;
  /** Builds the model without its head, for the task `base`: paths of modules begin with `embed_tokens`, `layers` and `norm`. */
  readonly bare?: boolean;
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly layers: number;
  readonly epsilon: number;
  /** The output projection is the embedding's matrix. */
  readonly tied: boolean;
  /** Rotary embeddings; layers may differ in which they use. */
  readonly ropes?: readonly RopeParameters[];
  /** Added to the weights of the final norm (Gemma: 1). */
  readonly normOffset?: number;
  /** Multiplies the embeddings. */
  readonly embeddingScale?: number;
  /** Bounds the logits. */
  readonly softcap?: number;
  /** Builds layer `index` within the list of layers: `[tokens, hiddenSize]` to the same. `rotary` has one table for each of `ropes`. */
  readonly block: (input: Value, index: number, rotary: readonly RotaryTable[]) => Value;
}

/**
 * A decoder-only language model: `model.embed_tokens`, `model.layers.I`, `model.norm`, `lm_head`. Outputs: `hidden_states.I` (I:
 * what enters layer I; the last: after the final norm), `last_hidden_state` and, unless it is bare, `logits` of the rows asked for.
 * With `labels` these come from a layer of that name in place of `lm_head`.
 */
export function causalDecoder(g: GraphBuilder, options: CausalDecoderOptions): void {
  const { family, bare = false, labels, vocabularySize, hiddenSize, layers } = options;
  const { ropes = [], embeddingScale, softcap } = options;
  const { table, head } = tieMatrices(g, options.tied, baseName(bare, 'model', 'embed_tokens.weight'));
  const hidden = baseModel(
    g,
    bare,
    'model',
    `${family}Model`,
    () => {
      const stream = embedding(g, 'embed_tokens', {
        count: vocabularySize,
        width: hiddenSize,
        weight: table,
        ...(embeddingScale === undefined ? {} : { scale: embeddingScale }),
      });
      const rotary = ropes.map((parameters, index) =>
        rotaryEmbedding(g, index === 0 ? 'rotary_emb' : `rotary_emb_${index}`, `${family}RotaryEmbedding`, parameters),
      );
      return layerStack(g, {
        layers,
        stream,
        block: (input, index) => options.block(input, index, rotary),
        finish: (last) => rmsNorm(g, 'norm', last, normOptions(options)),
      });
    },
    { order: ['embed_tokens', 'layers', 'norm', 'rotary_emb'] },
  );
  decoderHead(
    g,
    hidden,
    { bare, ...(labels ? { labels } : {}) },
    { vocabularySize, weight: head, ...(softcap === undefined ? {} : { softcap }) },
  );
}
