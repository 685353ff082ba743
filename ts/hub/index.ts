export {
  CHAT_TEMPLATES_FOLDER,
  CONFIG_FILE,
  GENERATION_CONFIG_FILE,
  MODULES_FILE,
  type ModelFiles,
  QUANTIZATION_FILE,
  SENTENCEPIECE_FILES,
  SINGLE_WEIGHTS_FILE,
  TOKENIZER_FILES,
} from './model_files';
export { resolveModelFiles } from './resolve';
export type { ResolveOptions, ResolveProgress } from './resolve_options';
export { hubCacheFolder } from './settings';
export { INDEX_FILE } from './shard_index';
