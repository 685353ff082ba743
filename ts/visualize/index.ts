/** What is inside: how texts are cut, what tokens attend to, what weights are like, and where activations are large. */
import type { AnyModel } from '../generation/any_model';
import type { Model } from '../models/model';
import type { Tokenizer } from '../tokenization';
import type { AttentionOptions } from './attention';
import type { AttentionData } from './attention_data';
import type { OutliersOptions } from './outliers';
import type { OutliersData } from './outliers_data';
import type { TokensOptions } from './tokens';
import type { TokensData } from './tokens_data';
import type { Visualization } from './visualization';
import type { WeightsOptions } from './weights';
import type { WeightsData } from './weights_data';

export type { AttentionOptions } from './attention';
export type { AttentionChoice, AttentionData, AttentionPart, AttentionPartName } from './attention_data';
export type { Histogram } from './histogram';
export type { OutliersOptions } from './outliers';
export type { LayerOutliers, OutlierFeature, OutliersData } from './outliers_data';
export type { PooledGrid } from './pooling';
export type { VisualToken } from './token';
export type { TokensOptions } from './tokens';
export type { TokensData } from './tokens_data';
export type { Visualization } from './visualization';
export type { WeightsOptions } from './weights';
export type { WeightSummary, WeightsData } from './weights_data';

// Files of visualizers are read when one is first called: a start does without them.

/**
 * Runs a text through a model and shows which tokens each of its tokens attends to, in every layer and head: the probabilities after the softmax.
 * Models of any kind; of encoder-decoders the attention of the encoder, of the decoder, and of the decoder to the encoder.
 * @throws OctoformerError INVALID_ARGUMENT (a text without tokens, a layer or head that is not there, a text so long that the probabilities
 *   would take more than 1 GB), UNKNOWN_OPTION, UNSUPPORTED_OPTION, CONTEXT_OVERFLOW, ABORTED, DISPOSED, OUT_OF_MEMORY
 */
export async function attention(
  model: AnyModel,
  tokenizer: Tokenizer,
  text: string,
  options: AttentionOptions = {},
): Promise<Visualization<AttentionData>> {
  const { showAttention } = require('./attention') as typeof import('./attention');
  return showAttention(model, tokenizer, text, options);
}

/**
 * Shows how a tokenizer cuts a text: ids, pieces, and which characters each token stands for.
 * @throws OctoformerError INVALID_ARGUMENT, UNKNOWN_OPTION
 */
export async function tokens(
  tokenizer: Tokenizer,
  text: string,
  options: TokensOptions = {},
): Promise<Visualization<TokensData>> {
  const { showTokens } = require('./tokens') as typeof import('./tokens');
  return showTokens(tokenizer, text, options);
}

/**
 * Shows the numbers of a model's parameters as the model has them now (int8 ones as what they stand for): how they are distributed, and where
 * the large ones are. They are read off the main thread, a few megabytes at a time.
 * @param names a name, a list of names, or patterns: `model.layers.0` (all of that module), `*.q_proj.weight`; all by default
 * @throws OctoformerError NOT_FOUND with the nearest name, INVALID_ARGUMENT, UNKNOWN_OPTION, ABORTED, DISPOSED
 */
export async function weights(
  model: Model,
  names: string | readonly string[] = '*',
  options: WeightsOptions = {},
): Promise<Visualization<WeightsData>> {
  const { showWeights } = require('./weights') as typeof import('./weights');
  return showWeights(model, names, options);
}

/**
 * Runs a text through a model and shows which input features of its linear layers are large: the outlier features that int8 schemes have to keep in
 * float (Dettmers et al. 2022, "LLM.int8()", section 4). Encoder-decoders write something about the text, for what their decoders read.
 * @throws OctoformerError INVALID_ARGUMENT (a text without tokens, a model that is being calibrated), UNKNOWN_OPTION, ABORTED, DISPOSED
 */
export async function outliers(
  model: AnyModel,
  tokenizer: Tokenizer,
  text: string,
  options: OutliersOptions = {},
): Promise<Visualization<OutliersData>> {
  const { showOutliers } = require('./outliers') as typeof import('./outliers');
  return showOutliers(model, tokenizer, text, options);
}
