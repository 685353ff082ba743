import { readBpe } from './bpe';
import type { JsonPart } from './json_part';
import type { TokenModel, WordTokens } from './token_model';
import { readUnigram } from './unigram';
import { readWordLevel } from './word_level';
import { readWordPiece } from './wordpiece';

/** Words kept with their tokens; when full the memory starts anew, so that it stays bounded. */
const CACHED_WORDS = 50000;
/** Longer words seldom come again. */
const LONGEST_CACHED_WORD = 256;

/** The same model with a memory of the words it has seen. */
export function withCache(model: TokenModel): TokenModel {
  let cache = new Map<string, WordTokens>();
  return {
    type: model.type,
    vocabulary: model.vocabulary,
    tokenize(word) {
      if (word.length > LONGEST_CACHED_WORD) return model.tokenize(word);
      let tokens = cache.get(word);
      if (tokens === undefined) {
        tokens = model.tokenize(word);
        if (cache.size >= CACHED_WORDS) cache = new Map();
        cache.set(word, tokens);
      }
      return tokens;
    },
  };
}

/** Builds the model of a tokenizer.json. Throws INVALID_TOKENIZER. */
export function readModel(part: JsonPart): TokenModel {
  if (part.isMissing) throw part.fail('the model is missing');
  const type = part.get('type').isMissing ? guessType(part) : part.get('type').string();
  switch (type) {
    case 'BPE':
      return withCache(readBpe(part));
    case 'WordPiece':
      return withCache(readWordPiece(part));
    case 'WordLevel':
      return readWordLevel(part);
    case 'Unigram':
      return withCache(readUnigram(part));
    case 'SentencePiece': {
      // Of no tokenizer.json, but of what stands for one where there are SentencePiece files only: read where it is needed.
      const { readSentencePieces } =
        require('./sentencepiece/listed_pieces') as typeof import('./sentencepiece/listed_pieces');
      return withCache(readSentencePieces(part));
    }
    default:
      throw part
        .get('type')
        .fail(`unknown model type ${JSON.stringify(type)}`, 'known are BPE, WordPiece, WordLevel and Unigram');
  }
}

/** Files from before 2021 do not name the type. */
function guessType(part: JsonPart): string {
  if (!part.get('merges').isMissing) return 'BPE';
  if (Array.isArray(part.get('vocab').value)) return 'Unigram';
  return part.get('continuing_subword_prefix').isMissing ? 'WordLevel' : 'WordPiece';
}
