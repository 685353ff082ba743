import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import { type AttentionOptions, attention } from './attention';
import { baseModel, baseName } from './base_model';
import { embedding } from './embedding';
import { feedForward, type GatedFeedForwardOptions, gatedFeedForward } from './feed_forward';
import { type DecoderTop, decoderHead, layerStack, tieMatrices } from './language_model';
import { type MixtureOfExpertsOptions, mixtureOfExperts } from './mixture_of_experts';
import { checkModuleOptions, type OptionKinds } from './module_options';
import { type LayerNormOptions, layerNorm, rmsNorm } from './norm';
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
  /** Left out: the network reads what attention reads, side by side with it (GPT-J, Cohere). */
  readonly feedForward?: BranchNorms;
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
  /** All norms are layer norms with these parameters, in place of RMS norms. */
  readonly layerNorm?: LayerNormStyle;
  /** Llama's by default. */
  readonly norms?: LayerNorms;
  /** Multiplies what each branch adds to the stream (Granite). */
  readonly residualScale?: number;
  readonly attention: Omit<AttentionOptions, 'residual' | 'kind' | 'outFeatures'>;
  readonly feedForward: DecoderFeedForward;
  readonly experts?: LayerExperts;
}

/** A layer norm's parameters, and Python's class: FAMILYLayerNorm by default. */
export type LayerNormStyle = Pick<LayerNormOptions, 'affine' | 'bias' | 'kind'>;

export interface DecoderFeedForward extends Omit<GatedFeedForwardOptions, 'residual' | 'kind' | 'outFeatures'> {
  /** What the module is called; `mlp` by default. */
  readonly name?: string;
  /** false: `up_proj`, the activation and `down_proj` alone. */
  readonly gated?: boolean;
}

const blockKinds: OptionKinds<PreNormBlockOptions> = {
  family: 'text',
  epsilon: 'number',
  normOffset: 'number?',
  layerNorm: 'given?',
  norms: 'given?',
  residualScale: 'number?',
  attention: 'given',
  feedForward: 'given',
  experts: 'given?',
};

/**
 * x + attention(norm(x)), then x + feedForward(norm(x)): the block of Llama and most decoders since. With one norm for both:
 * x + attention(norm(x)) + feedForward(norm(x)).
 */
export function preNormBlock(g: GraphBuilder, name: string, input: Value, options: PreNormBlockOptions): Value {
  checkModuleOptions('nn.preNormBlock()', options, blockKinds);
  const { family, norms = llamaNorms, residualScale } = options;
  const outFeatures = input.columns;
  const { headNorm } = options.attention;
  const { name: networkName = 'mlp' } = options.experts ?? options.feedForward;

  const attend = (value: Value, residual?: Value) =>
    attention(g, 'self_attn', value, {
      ...options.attention,
      ...(headNorm ? { headNorm: { kind: normKind(options), ...headNorm } } : {}),
      kind: `${family}Attention`,
      outFeatures,
      ...(residual ? { residual } : {}),
    });
  const network = (value: Value, residual?: Value) => {
    const rest = { outFeatures, ...(residual ? { residual } : {}) };
    const kind = `${family}MLP`;
    const { gated = true, name: _own, ...given } = options.feedForward;
    if (!options.experts) {
      return (gated ? gatedFeedForward : feedForward)(g, networkName, value, { ...given, kind, ...rest });
    }
    const { name: _, ...experts } = options.experts;
    return mixtureOfExperts(g, networkName, value, {
      expertKind: kind,
      ...experts,
      kind: `${family}SparseMoeBlock`,
      activation: given.activation,
      ...rest,
    });
  };
  const enter = (stream: Value, { before }: BranchNorms) => (before ? decoderNorm(g, before, stream, options) : stream);
  /** The stream plus what a branch makes of `normed`. */
  const add = (stream: Value, normed: Value, { after }: BranchNorms, run: typeof attend) => {
    if (!after && residualScale === undefined) return run(normed, stream);
    const made = run(normed);
    const out = after ? decoderNorm(g, after, made, options, true) : made;
    if (residualScale !== undefined) g.add({ op: 'scale', input: out, factor: residualScale, out });
    g.add({ op: 'elementwise', kind: 'add', left: stream, right: out, out });
    return out;
  };
  const body = () => {
    const normed = enter(input, norms.attention);
    const attended = add(input, normed, norms.attention, attend);
    const { feedForward: own = {} } = norms;
    return add(attended, norms.feedForward ? enter(attended, own) : normed, own, network);
  };
  const { attention: first, feedForward: second } = norms;
  const names = [first.before, first.after, second?.before, second?.after];
  const order = ['self_attn', networkName, ...names.filter((each) => each !== undefined)];
  return g.scope(name, `${family}DecoderLayer`, body, { order });
}

type NormChoice = Pick<PreNormBlockOptions, 'family' | 'epsilon' | 'normOffset' | 'layerNorm'>;

function normKind({ family, layerNorm: style }: NormChoice): string {
  return style ? (style.kind ?? `${family}LayerNorm`) : `${family}RMSNorm`;
}

function decoderNorm(g: GraphBuilder, name: string, input: Value, choice: NormChoice, inPlace = false): Value {
  const { epsilon, normOffset, layerNorm: style } = choice;
  const options = {
    epsilon,
    kind: normKind(choice),
    inPlace,
    ...(normOffset === undefined ? {} : { weightOffset: normOffset }),
  };
  return style ? layerNorm(g, name, input, { ...style, ...options }) : rmsNorm(g, name, input, options);
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
      | 'family'
      | 'bare'
      | 'labels'
      | 'ropes'
      | 'pairing'
      | 'normOffset'
      | 'layerNorm'
      | 'embeddingScale'
      | 'logitScale'
      | 'softcap'
    >,
    Pick<PreNormBlockOptions, 'norms' | 'residualScale'> {
  /** The only rotary embedding, where there is one. */
  readonly rope?: RopeParameters;
  /** What is particular to a layer's attention. `rotary`: an index into `ropes`, 0 by default; `false` leaves positions out (NoPE). */
  readonly attention?: (
    layer: number,
  ) => Partial<Omit<AttentionOptions, 'rotary'>> & { readonly rotary?: number | false };
  readonly feedForward?: Partial<Omit<DecoderFeedForward, 'activation'>>;
  /** The experts of a layer, where it has them. */
  readonly experts?: (layer: number) => LayerExperts | undefined;
}

const decoderKinds: OptionKinds<PreNormDecoderOptions> = {
  family: 'text',
  bare: 'flag?',
  labels: 'given?',
  ropes: 'given?',
  rope: 'given?',
  pairing: 'text?',
  normOffset: 'number?',
  layerNorm: 'given?',
  embeddingScale: 'number?',
  logitScale: 'number?',
  softcap: 'number?',
  norms: 'given?',
  residualScale: 'number?',
  attention: 'given?',
  feedForward: 'given?',
  experts: 'given?',
};

/** A causal decoder whose layers are all `preNormBlock`s with rotary positions: Llama and its many kin. */
export function preNormDecoder(g: GraphBuilder, sizes: DecoderSizes, options: PreNormDecoderOptions): void {
  checkModuleOptions('nn.preNormDecoder()', options, decoderKinds);
  const { family, rope, ropes = rope ? [rope] : [], feedForward, norms, normOffset, residualScale } = options;
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
        ...(options.layerNorm ? { layerNorm: options.layerNorm } : {}),
        ...(norms ? { norms } : {}),
        ...(residualScale === undefined ? {} : { residualScale }),
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
  /** Which columns these turn together; `half` by default. */
  readonly pairing?: RotaryTable['pairing'];
  /** Added to the weights of the final norm (Gemma: 1). */
  readonly normOffset?: number;
  /** The final norm is a layer norm with these parameters. */
  readonly layerNorm?: LayerNormStyle;
  /** Multiplies the embeddings. */
  readonly embeddingScale?: number;
  /** Multiplies the logits. */
  readonly logitScale?: number;
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
  const { ropes = [], pairing, embeddingScale, logitScale, softcap } = options;
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
      const rotary = ropes.map((parameters, index) => {
        const name = index === 0 ? 'rotary_emb' : `rotary_emb_${index}`;
        return rotaryEmbedding(g, name, `${family}RotaryEmbedding`, parameters, pairing);
      });
      return layerStack(g, {
        layers,
        stream,
        block: (input, index) => options.block(input, index, rotary),
        finish: (last) => decoderNorm(g, 'norm', last, options),
      });
    },
    { order: ['embed_tokens', 'layers', 'norm', 'rotary_emb'] },
  );
  decoderHead(
    g,
    hidden,
    { bare, ...(labels ? { labels } : {}) },
    {
      vocabularySize,
      weight: head,
      ...(logitScale === undefined ? {} : { scale: logitScale }),
      ...(softcap === undefined ? {} : { softcap }),
    },
  );
}
