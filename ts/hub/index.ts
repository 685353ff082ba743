export {
  CONFIG_FILE,
  GENERATION_CONFIG_FILE,
  QUANTIZATION_FILE,
  SINGLE_WEIGHTS_FILE,
  TOKENIZER_FILES,
} from './model_files';
export { type ModelFiles, type ResolveOptions, type ResolveProgress, resolveModelFiles } from './resolve';
export { hubCacheFolder } from './settings';
export { INDEX_FILE } from './shard_index';
