import type { Vocabulary } from './vocabulary';

/** Tokens of one word: ids, and where each begins and ends in the word (UTF-16 units). */
export interface WordTokens {
  readonly ids: readonly number[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** Turns a word, as the pre-tokenizer cut it, into tokens. */
export interface TokenModel {
  readonly type: 'BPE' | 'WordPiece' | 'WordLevel' | 'Unigram' | 'SentencePiece';
  readonly vocabulary: Vocabulary;
  tokenize(word: string): WordTokens;
}
