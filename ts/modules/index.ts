/** The vocabulary that architectures are written in: every function takes the builder, the module's name, and what goes in. */
export { activationByName } from './activation';
export { alibiSlopes } from './alibi';
export { type AttendOptions, attend, type ScoreOptions } from './attend';
export { type AttentionOptions, attention, type ProjectionNames } from './attention';
export { baseModel, baseName } from './base_model';
export { type BlockOptions, block } from './block';
export { type CrossAttentionOptions, crossAttention } from './cross_attention';
export {
  type BranchNorms,
  type CausalDecoderOptions,
  causalDecoder,
  type DecoderSizes,
  type LayerExperts,
  type LayerNorms,
  type PreNormBlockOptions,
  type PreNormDecoderOptions,
  preNormBlock,
  preNormDecoder,
} from './decoder';
export { type DisentangledAttention, projectPositions } from './disentangled_attention';
export { type EmbeddingOptions, embedding, tableModule } from './embedding';
export {
  type EncoderEmbeddingsOptions,
  type EncoderLayerNames,
  type EncoderLayerOptions,
  encoderEmbeddings,
  encoderLayers,
  postNormLayer,
} from './encoder';
export { type EncoderDecoderOptions, encoderDecoder, type StackSizes } from './encoder_decoder';
export {
  headRows,
  labelHead,
  type MaskedHeadNames,
  type MaskedHeadOptions,
  maskedLanguageHead,
  spanHead,
} from './encoder_heads';
export {
  type FeedForwardOptions,
  feedForward,
  feedForwardLayers,
  type GatedFeedForwardOptions,
  gatedFeedForward,
  type PlainFeedForwardOptions,
} from './feed_forward';
export { interleavedGroups, interleavedHeads } from './fused_rows';
export {
  type DecoderTop,
  decoderHead,
  type LabelLayer,
  type LanguageModelHeadOptions,
  type LayerStackOptions,
  languageModelHead,
  layerStack,
  type TiedMatrices,
  tieMatrices,
} from './language_model';
export { type LinearOptions, linear, linears, type Projection } from './linear';
export { type ExpertNames, type MixtureOfExpertsOptions, mixtureOfExperts } from './mixture_of_experts';
export { type ModuleKinds, nested, nestedLeaf } from './nested';
export { type LayerNormOptions, layerNorm, type NormOptions, rmsNorm } from './norm';
export { type RelativeBiasOptions, relativeBias } from './relative_bias';
export { type RopeParameters, ropeTypes } from './rope_parameters';
export { type RotaryTable, rotaryEmbedding } from './rotary_embedding';
export { type SinusoidalOptions, sinusoidalPositions } from './sinusoidal';
