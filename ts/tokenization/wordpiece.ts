import type { JsonPart } from './json_part';
import type { TokenModel } from './token_model';
import { hashOf } from './token_table';
import { Vocabulary } from './vocabulary';

/**
 * WordPiece (Schuster and Nakajima 2012, as in BERT): the longest known piece is cut off again and again. A word that can't be cut
 * into known pieces, or is longer than `max_input_chars_per_word`, becomes one unknown token.
 */
export function readWordPiece(part: JsonPart): TokenModel {
  const vocabulary = Vocabulary.read(part.get('vocab'));
  const unknown = vocabulary.id(part.get('unk_token').string('[UNK]'));
  const prefix = part.get('continuing_subword_prefix').string('##');
  const longest = part.get('max_input_chars_per_word').count(100);

  const { table } = vocabulary;
  const prefixHash = hashOf(prefix, 0, prefix.length);

  return {
    type: 'WordPiece',
    vocabulary,
    tokenize(word) {
      const whole = () => {
        if (unknown === undefined)
          throw part.get('unk_token').fail('the unknown token is not in the vocabulary', 'add it to the vocabulary');
        return { ids: [unknown], starts: [0], ends: [word.length] };
      };
      if (word.length > longest && Array.from(word).length > longest) return whole();
      const ids: number[] = [];
      const starts: number[] = [];
      const ends: number[] = [];
      for (let start = 0; start < word.length; ) {
        let best = -1;
        let end = start;
        let hash = start === 0 ? hashOf('', 0, 0) : prefixHash;
        for (let at = start; at < word.length; ) {
          hash = hashOf(word, at, ++at, hash);
          const id =
            start === 0 ? table.find(hash, word, 0, at) : table.find(hash, prefix, 0, prefix.length, word, start, at);
          if (id < 0) continue;
          best = id;
          end = at;
        }
        if (best < 0) return whole();
        ids.push(best);
        starts.push(start);
        ends.push(end);
        start = end;
      }
      return { ids, starts, ends };
    },
  };
}
