/** The vocabulary that architectures are written in: every function takes the builder, the module's name, and what goes in. */
export { activationByName } from './activation';
export { type AttentionOptions, attention } from './attention';
export {
  type CausalDecoderOptions,
  causalDecoder,
  type DecoderSizes,
  type PreNormBlockOptions,
  type PreNormDecoderOptions,
  preNormBlock,
  preNormDecoder,
} from './decoder';
export { type EmbeddingOptions, embedding } from './embedding';
export {
  type FeedForwardOptions,
  feedForward,
  type GatedFeedForwardOptions,
  gatedFeedForward,
} from './feed_forward';
export { type LinearOptions, linear, linears, type Projection } from './linear';
export { layerNorm, type NormOptions, rmsNorm } from './norm';
export { type RopeParameters, ropeTypes } from './rope_parameters';
export { type RotaryTable, rotaryEmbedding } from './rotary_embedding';
