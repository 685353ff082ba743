export type { ChatMessage, ChatTemplateOptions } from './chat_template';
export { tokenizerFilesFromGguf, tokenizerFromGguf } from './gguf_tokenizer';
export { MergeTable } from './merge_table';
export { TokenStreamDecoder } from './stream_decoder';
export { TokenTable } from './token_table';
export {
  type DecodeOptions,
  type EncodeOptions,
  type TokenizedText,
  Tokenizer,
  type TokenizerFiles,
} from './tokenizer';
