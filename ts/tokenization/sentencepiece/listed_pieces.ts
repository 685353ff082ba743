import type { JsonPart } from '../json_part';
import type { TokenModel } from '../token_model';
import { Vocabulary } from '../vocabulary';
import { SentencePieceProcessor } from './processor';

/**
 * Pieces of a SentencePiece file under the ids of another list: what Marian's and M2M100's tokenizers are. The whole text between added
 * tokens is one word. With `language_codes` it may begin with a `>>code<<`, which is a token by itself.
 */
export function readSentencePieces(part: JsonPart): TokenModel {
  const processor = part.get('processor').value;
  if (!(processor instanceof SentencePieceProcessor)) throw part.fail('it has no SentencePiece file');
  const vocabulary = Vocabulary.read(part.get('vocab'));
  const unknownToken = part.get('unk_token').string();
  const unknown = vocabulary.id(unknownToken);
  if (unknown === undefined)
    throw part
      .get('vocab')
      .fail(`the unknown token ${JSON.stringify(unknownToken)} is not in it`, 'add it to the vocabulary');
  const hasCodes = part.get('language_codes').boolean(false);
  return {
    type: 'SentencePiece',
    vocabulary,
    tokenize(word) {
      const ids: number[] = [];
      const starts: number[] = [];
      const ends: number[] = [];
      const push = (token: string, start: number, end: number): void => {
        ids.push(vocabulary.id(token) ?? unknown);
        starts.push(start);
        ends.push(end);
      };
      const begin = hasCodes ? languageCodeLength(word) : 0;
      if (begin > 0) push(word.slice(0, begin), 0, begin);
      for (const { piece, start, end } of processor.encode(word.slice(begin))) push(piece, begin + start, begin + end);
      return { ids, starts, ends };
    },
  };
}

/** Length of a `>>code<<` at the beginning of a text, or 0. */
function languageCodeLength(text: string): number {
  const end = text.startsWith('>>') ? text.indexOf('<<') : -1;
  return end < 0 ? 0 : end + 2;
}
