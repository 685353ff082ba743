import type { AttentionOp, CrossAttentionOp, StoreCrossOp } from './attention_ops';
import type { Value } from './value';

/**
 * A Program: the flat form of a model that the native executor runs. `ts/graph` builds it, `JSON.stringify` carries it over the
 * binding, `native/runtime/program.h` mirrors these types and checks every one of them at compile time.
 *
 * Every activation is a float32 matrix. Its rows are symbolic: `tokens` is the number of token rows of the ragged batch (all
 * sequences, one after another), `rows` the number of token rows whose logits were asked for, `sequences` the number of
 * sequences. Its columns are a number known at load.
 */
export interface Program {
  readonly version: 1;
  readonly weights: readonly WeightDescription[];
  readonly buffers: readonly BufferDescription[];
  /** Relative positions that attention tells apart (`AttentionOp.positions`), where it does: rows of what is computed of them. */
  readonly places?: number;
  /** One entry an attention layer that keeps keys and values, in the order of `AttentionOp.layer`. */
  readonly cache_layers: readonly CacheLayerDescription[];
  readonly ops: readonly Op[];
  /** Of encoder-decoders: what runs once a sequence, before the decoder, which is the rest of the Program. */
  readonly encoder?: EncoderPart;
}

/**
 * An encoder's ops, over the same weights and buffers (no buffer holds anything across the parts). Their tokens are those of the
 * encoder's sequences; what the decoder sees of them is what `store_cross` ops keep.
 */
export interface EncoderPart {
  /** Of the encoder's own attention, for the time of a run. */
  readonly cache_layers: readonly CacheLayerDescription[];
  /** Keys and values that stay with a sequence's cache: `layer` of `store_cross` and `cross_attention`. Each is stored once. */
  readonly cross_layers: readonly CacheLayerDescription[];
  readonly ops: readonly Op[];
}

/** The ops of both parts. */
export function allOps({ ops, encoder }: Program): readonly Op[] {
  return [...(encoder?.ops ?? []), ...ops];
}

/** `places` are as many as `Program.places` says. */
export type RowSymbol = 'tokens' | 'rows' | 'sequences' | 'places';

/** An index into `Program.buffers`; ops refer to (a slice of the columns of) a buffer by a `Value` (value.ts). */
export interface BufferDescription {
  readonly rows: RowSymbol;
  readonly columns: number;
}

/**
 * How keys and values are kept: `bfloat16` rounded to nearest even; `int8` absmax, with a scale of its own for the key and for the value of each
 * token and kv head.
 */
export type CacheForm = 'float32' | 'bfloat16' | 'int8';

export interface CacheLayerDescription {
  readonly kv_heads: number;
  readonly head_dim: number;
  /** `float32` when absent. */
  readonly form?: CacheForm;
}

/** How the numbers of a weight are kept: `auto` as the checkpoint has them. */
export type WeightFormName = 'auto' | 'float32' | 'bfloat16' | 'float16' | 'int8';

/**
 * `linear`: a matrix [out_features, in_features], packed for the kernels; linear and embedding ops read it.
 * `vector`: one dimension, kept as float32; norms and biases read it.
 */
export interface WeightDescription {
  /** How messages and `model.module()` call it, such as `model.layers.0.self_attn.q_proj.weight`. */
  readonly name: string;
  readonly role: 'linear' | 'vector';
  /** `[out_features, in_features]` or `[length]`: checked against what the parts give. */
  readonly shape: readonly number[];
  readonly form: WeightFormName;
  /** `bfloat16`: round the activations to bfloat16 and multiply on the units for it (linear only). */
  readonly compute: 'float32' | 'bfloat16';
  /** How a weight of the form `int8` computes; absent: vector-wise absmax. */
  readonly int8?: Int8Settings;
  /** Concatenated along the first dimension. */
  readonly parts: readonly WeightPart[];
}

/**
 * One int8 scheme of docs/design.md section 3; `native/backend/int8_settings.h` mirrors it. Every key has a default, given first.
 */
export interface Int8Settings {
  /** How weights become int8: symmetric in [-127, 127], or affine in [-128, 127]. */
  readonly weights?: 'absmax' | 'zeropoint';
  /** What shares a scale: an output row, or the whole tensor. */
  readonly weight_scales?: 'row' | 'tensor';
  /** So many input features of an output row share a scale (0, the default: all), a multiple of 4. With `weight_only` only. */
  readonly group_size?: number;
  /** Activations stay float32, as if the weights were dequantized; the keys below do not apply then. Absmax weights only. */
  readonly weight_only?: boolean;
  readonly activations?: 'absmax' | 'zeropoint';
  /** `tensor`: one scale for all token rows of a call. */
  readonly activation_scales?: 'row' | 'tensor';
  /** Activations of at least this magnitude are outliers (`QuantizationOptions.threshold`); 0 (the default): none. */
  readonly threshold?: number;
  /** `row-rms`: the threshold counts in root mean squares of the token's row. */
  readonly threshold_unit?: 'absolute' | 'row-rms';
  /**
   * `token`: those entries alone. `column`: the whole feature, in all rows of the call (bitsandbytes). `whole-column`: the same, and the
   * rows' ranges leave the whole feature out, not its outliers alone (the paper).
   */
  readonly outliers?: 'token' | 'column' | 'whole-column';
  /** Outliers meet the float32 weights (kept beside the int8 ones) instead of dequantized int8 weights. */
  readonly float_outlier_weights?: boolean;
  /** Input features (increasing) multiplied in float32 in every row, by weights kept in bfloat16. */
  readonly outlier_features?: readonly number[];
  /**
   * So many input features, those with the largest weights (one in 32 at most), are multiplied in float32 in every row, by weights kept in
   * bfloat16 that take no part in the scales of the weights; `outlier_features` where they are given. Absmax weights with a scale a row.
   */
  readonly wide_features?: number;
  /** Count what is multiplied in float while the model runs. */
  readonly count_outliers?: boolean;
}

export interface WeightPart {
  /** The checkpoint's name of the tensor. */
  readonly tensor: string;
  /** The shape that the checkpoint's tensor must have, before anything below is applied. */
  readonly shape: readonly number[];
  /** The tensor is stored [in_features, out_features] (GPT-2's Conv1D). */
  readonly transpose?: boolean;
  /** The tensor is a stack [entries, rows, columns], of which this is one matrix; what is below applies to its rows. */
  readonly entry?: number;
  /**
   * Reorders the rows: they are seen as an array of shape `dims` (product = rows), whose axes are permuted by `axes`
   * (as numpy's transpose does). GGUF's rotary rows: dims [heads, head_dim / 2, 2], axes [0, 2, 1].
   */
  readonly permute_rows?: { readonly dims: readonly number[]; readonly axes: readonly number[] };
  /** Takes rows [first, first + count) only, after the steps above. */
  readonly take_rows?: { readonly first: number; readonly count: number };
  /**
   * The tensor is int8 (I8, bitsandbytes' `weight`) and this one (F32, one number a row: `SCB`) holds the largest magnitude of
   * each row: w = q * (scale / 127). A weight of the form `int8` takes such numbers as they are when all its parts have them.
   */
  readonly scale?: string;
}

/** A part's tensor, or the one in a stack of them, by a name of its own. */
export function storedName({ tensor, entry }: Pick<WeightPart, 'tensor' | 'entry'>): string {
  return entry === undefined ? tensor : `${tensor}[${entry}]`;
}

export type ActivationName =
  | 'identity'
  | 'relu'
  | 'relu_squared'
  | 'silu'
  | 'gelu'
  | 'gelu_tanh'
  | 'gelu_quick'
  | 'tanh'
  | 'sigmoid';

/** `weight`, `bias`, `table` are indices into `Program.weights`. Absent means none. */
export type Op =
  | EmbeddingOp
  | LinearOp
  | NormOp
  | RopeTableOp
  | RopeOp
  | SinusoidalOp
  | AttentionOp
  | StoreCrossOp
  | CrossAttentionOp
  | GatedActivationOp
  | ActivationOp
  | ElementwiseOp
  | ScaleOp
  | ExpertRoutingOp
  | GroupedLinearOp
  | WeightedSumOp
  | GatherRowsOp
  | OutputOp;

export interface EmbeddingOp {
  readonly op: 'embedding';
  /** Where the indices come from (`places`: 0, 1, ...); `offset` is added to them (OPT's positions start at 2). */
  readonly index: 'input_ids' | 'position_ids' | 'token_type_ids' | 'places';
  readonly offset?: number;
  readonly table: number;
  readonly scale?: number;
  readonly accumulate?: boolean;
  readonly out: Value;
}

/** out = activation(input W^T + bias) + residual */
export interface LinearOp {
  readonly op: 'linear';
  readonly input: Value;
  readonly weight: number;
  readonly bias?: number;
  readonly activation?: ActivationName;
  readonly residual?: Value;
  readonly out: Value;
}

export interface NormOp {
  readonly op: 'norm';
  readonly kind: 'rms' | 'layer';
  readonly input: Value;
  readonly out: Value;
  readonly weight?: number;
  readonly bias?: number;
  readonly weight_offset?: number;
  readonly epsilon: number;
  /** Columns normalized together (head_dim for per-head norms); all of them when absent. */
  readonly group?: number;
}

/**
 * Fills `out` [tokens, rotary_dim] with cosines, then sines, of position * inv_freq, both times `attention_factor`; computed in
 * float32 as Hugging Face does. `long` replaces both for a sequence longer (past + new) than `long.original_max`;
 * `dynamic` recomputes inv_freq from the length of a sequence longer than `dynamic.max` (NTK).
 */
export interface RopeTableOp {
  readonly op: 'rope_table';
  readonly out: Value;
  readonly inv_freq: readonly number[];
  readonly attention_factor: number;
  readonly long?: {
    readonly original_max: number;
    readonly inv_freq: readonly number[];
    readonly attention_factor: number;
  };
  readonly dynamic?: { readonly max: number; readonly base: number; readonly factor: number };
}

/** Rotates the first `rotary_dim` columns (`table.columns`) of every head of `x`, in place. */
export interface RopeOp {
  readonly op: 'rope';
  readonly x: Value;
  readonly table: Value;
  readonly heads: number;
  readonly head_dim: number;
  readonly pairing: 'half' | 'adjacent';
}

/** Fills `out` [tokens, 2 * inv_freq] with sines and cosines of position * inv_freq (Vaswani et al. 2017, section 3.5). */
export interface SinusoidalOp {
  readonly op: 'sinusoidal';
  readonly out: Value;
  readonly inv_freq: readonly number[];
  /** `interleaved`: a sine, its cosine, the next sine (the paper's); `halves`: all sines, then all cosines. */
  readonly order: 'interleaved' | 'halves';
  /** Added to positions. */
  readonly offset?: number;
  /** Tokens of this id get zeros. */
  readonly padding_id?: number;
  /** Add to `out` instead of writing it. */
  readonly accumulate?: boolean;
}

/** out = activation(gate) * up */
export interface GatedActivationOp {
  readonly op: 'gated_activation';
  readonly gate: Value;
  readonly up: Value;
  readonly activation: ActivationName;
  readonly out: Value;
}

export interface ActivationOp {
  readonly op: 'activation';
  readonly input: Value;
  readonly activation: ActivationName;
  readonly out: Value;
}

export interface ElementwiseOp {
  readonly op: 'elementwise';
  readonly kind: 'add' | 'multiply';
  readonly left: Value;
  readonly right: Value;
  readonly out: Value;
}

/** out = input * factor; then softcap * tanh(out / softcap) when `softcap` is given. */
export interface ScaleOp {
  readonly op: 'scale';
  readonly input: Value;
  readonly factor: number;
  readonly softcap?: number;
  readonly out: Value;
}

/**
 * Chooses for each row the experts (`experts.columns` of `logits.columns`) whose softmaxed logits are largest; of equal ones those with
 * the lower number. `experts` gets their numbers in increasing order, `weights` their probabilities.
 */
export interface ExpertRoutingOp {
  readonly op: 'expert_routing';
  readonly logits: Value;
  /** Divide the chosen probabilities by their sum. */
  readonly normalize?: boolean;
  readonly experts: Value;
  readonly weights: Value;
}

/**
 * A linear layer whose weight each row chooses: columns [j * out_features, (j + 1) * out_features) of `out` are the row's input
 * times the weight of expert `experts[row][j]`. `input` has in_features columns, which all slots j read, or as many for each slot. Only
 * experts that some row chose are computed.
 */
export interface GroupedLinearOp {
  readonly op: 'grouped_linear';
  readonly input: Value;
  /** From an expert_routing op. */
  readonly experts: Value;
  /** One linear weight an expert, all of the same shape. */
  readonly weights: readonly number[];
  readonly out: Value;
}

/** out = residual + the sum over j, in order, of weights[row][j] * columns [j * n, (j + 1) * n) of input, n being out.columns. */
export interface WeightedSumOp {
  readonly op: 'weighted_sum';
  readonly input: Value;
  readonly weights: Value;
  readonly residual?: Value;
  readonly out: Value;
}

/** From [tokens, n] to [rows, n]: the rows whose logits were asked for. The executor stops here when no row was. */
export interface GatherRowsOp {
  readonly op: 'gather_rows';
  readonly input: Value;
  readonly out: Value;
}

/** Copies a value to the caller under a name, when that name was asked for. `logits` is also what the sampler reads. */
export interface OutputOp {
  readonly op: 'output';
  readonly name: string;
  readonly input: Value;
}
