import type { JsonPart } from './json_part';
import type { TokenModel } from './token_model';
import { Vocabulary } from './vocabulary';

/** A token is a whole word. A word that is not known becomes the unknown token, or nothing where there is none. */
export function readWordLevel(part: JsonPart): TokenModel {
  const vocabulary = Vocabulary.read(part.get('vocab'));
  const unknown = vocabulary.id(part.get('unk_token').string('<unk>'));
  return {
    type: 'WordLevel',
    vocabulary,
    tokenize(word) {
      const id = vocabulary.id(word) ?? unknown;
      if (id === undefined)
        throw part
          .get('unk_token')
          .fail(`the word ${JSON.stringify(word)} is not in the vocabulary, and there is no unknown token`);
      return { ids: [id], starts: [0], ends: [word.length] };
    },
  };
}
