import type { JsonPart } from './json_part';
import type { TokenModel } from './model';
import { Trie } from './pair_table';
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

  let characters = 0;
  for (const [token] of vocabulary.entries()) characters += token.length;
  const beginnings = new Trie(characters);
  const continuations = new Trie(characters);
  for (const [token, id] of vocabulary.entries()) {
    beginnings.add(token, id);
    if (token.startsWith(prefix)) continuations.add(token.slice(prefix.length), id);
  }

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
        const trie = start === 0 ? beginnings : continuations;
        let best = -1;
        let end = start;
        for (let at = start, node = 0; at < word.length; ) {
          node = trie.step(node, word.charCodeAt(at++));
          if (node < 0) break;
          const value = trie.valueAt(node);
          if (value >= 0) {
            best = value;
            end = at;
          }
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
