/** Transformer inference for Node.js: opens Hugging Face checkpoints as they are and runs them on its own C++ kernels. */
export { OctoformerError, type OctoformerErrorCode } from './binding/error';
export { type Info, info } from './binding/info';
export * as evaluate from './evaluate';
export { type CalibratedModel, type CalibrationOptions, calibrate } from './evaluate/calibrate';
export { AutoModelForCausalLM, CausalLanguageModel } from './generation/auto_model';
export type { FinishReason } from './generation/ending';
export type { GenerateInputs, GenerateOutput } from './generation/generate';
export type { GenerationStatistics } from './generation/generation_run';
export type { GenerateOptions, StoppingCriterion } from './generation/options';
export type { LogitsProcessor } from './generation/processors/processor';
export { AutoModelForSeq2SeqLM, Seq2SeqLanguageModel } from './generation/seq2seq_model';
export type { Seq2SeqGenerateInputs } from './generation/seq2seq_run';
export type { Streamer } from './generation/streamer';
export { GraphBuilder } from './graph/builder';
export type { Value } from './graph/value';
export type { Architecture, Task } from './models/architecture';
export {
  AutoModel,
  AutoModelForMaskedLM,
  AutoModelForQuestionAnswering,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  type BaseModelInputs,
  type BaseModelOutputs,
  type EncoderModel,
  type SequenceLogitsOutputs,
  type SpanOutputs,
  type TokenLogitsOutputs,
} from './models/auto_encoders';
export { AutoTokenizer, type TokenizerLoadOptions } from './models/auto_tokenizer';
export { decoderSizes, ModelConfig } from './models/config';
export type { EncoderInputs, EncoderOutputs } from './models/encoder_forward';
export type { DecoderOutputs, ForwardInputs, ForwardOutputs } from './models/forward';
export { KVCache } from './models/kv_cache';
export type { LoadOptions, LoadProgress } from './models/load_options';
export type { MemoryFootprint, ModuleDescription } from './models/model';
export type { ModuleQuantization, QuantizationReport, ReportOptions } from './models/quantization_report';
export { architectureNames, defineArchitecture } from './models/registry';
export { ropeParameters } from './models/rope_config';
export type { SaveOptions, SaveProgress } from './models/save_pretrained';
export type { EncoderDecoderOutputs, Seq2SeqInputs, Seq2SeqOutputs } from './models/seq2seq_forward';
export type { Tensor } from './models/tensor';
export * as nn from './models/vocabulary';
export * as ops from './ops';
export type { ChatOptions, ChatSession } from './pipelines/chat_session';
export type {
  FeatureExtractionOptions,
  FeatureExtractionPipeline,
  PooledFeaturePipeline,
} from './pipelines/feature_extraction';
export type { FilledMask, FillMaskOptions, FillMaskPipeline } from './pipelines/fill_mask';
export { type PipelineOptions, type Pipelines, pipeline, type TextGenerationPipeline } from './pipelines/pipeline';
export type { Chat, Prompt } from './pipelines/prompt';
export type {
  Answer,
  QuestionAnsweringOptions,
  QuestionAnsweringPipeline,
  QuestionsWithContext,
  QuestionWithContext,
} from './pipelines/question_answering';
export type {
  SentencePairs,
  SentenceSimilarityOptions,
  SentenceSimilarityPipeline,
} from './pipelines/sentence_similarity';
export type {
  Classification,
  RankedTextClassificationPipeline,
  TextClassificationOptions,
  TextClassificationPipeline,
  TextOrPair,
  TextPair,
} from './pipelines/text_classification';
export type { GeneratedText, TextGenerationOptions } from './pipelines/text_generation';
export type { TextStream } from './pipelines/text_stream';
export type {
  Text2TextOptions,
  Text2TextPipeline,
  Text2TextStreamOptions,
  TranslationOptions,
  WrittenText,
} from './pipelines/text2text_generation';
export type {
  EntityGroup,
  GroupedTokenClassificationPipeline,
  TokenClassificationOptions,
  TokenClassificationPipeline,
  TokenEntity,
} from './pipelines/token_classification';
export type {
  LabelledZeroShotPipeline,
  ZeroShotClassification,
  ZeroShotClassificationPipeline,
  ZeroShotOptions,
} from './pipelines/zero_shot_classification';
export type { Calibration, ModuleCalibration } from './quantization/calibration';
export type {
  OutlierFeatures,
  Quantization,
  QuantizationConfig,
  QuantizationOptions,
} from './quantization/int8_options';
export type { Int8Scheme } from './quantization/int8_schemes';
export {
  type ChatMessage,
  type ChatTemplateOptions,
  type DecodeOptions,
  type EncodeOptions,
  type TokenizedText,
  Tokenizer,
  TokenStreamDecoder,
} from './tokenization';
export * as visualize from './visualize';
