export type { ChatMessage, ChatTemplateOptions } from './chat_template';
export { tokenizerFilesFromGguf, tokenizerFromGguf } from './gguf_tokenizer';
export { MergeTable } from './merge_table';
export type { SentencePieceFolder } from './sentencepiece/description';
export { MOST_MODEL_BYTES, readSentencePieceModel, type SentencePieceModel } from './sentencepiece/model_file';
export { tokenizerFilesFromSentencePiece } from './sentencepiece/tokenizer_files';
export { TokenStreamDecoder } from './stream_decoder';
export { TokenTable } from './token_table';
export {
  type DecodeOptions,
  type EncodeOptions,
  type TokenizedText,
  Tokenizer,
  type TokenizerFiles,
} from './tokenizer';
