import { byteTokens } from './byte_tokens';
import type { JsonPart } from './json_part';
import { Trie } from './pair_table';
import type { TokenModel } from './token_model';
import { TokenTable } from './token_table';
import { Vocabulary } from './vocabulary';

/** How much worse than the worst token an unknown character is (SentencePiece's constant). */
export const UNKNOWN_PENALTY = 10;

/**
 * Unigram language model (Kudo 2018): the cut of the word with the largest sum of log-probabilities, found by Viterbi's algorithm over
 * the pieces of a trie. Unknown characters in a row become one unknown token, or their bytes where the vocabulary has those.
 */
export function readUnigram(part: JsonPart): TokenModel {
  const vocab = part.get('vocab');
  if (vocab.isMissing) throw vocab.fail('the vocabulary is missing');
  const items = vocab.values();
  if (items.length === 0) throw vocab.fail('the vocabulary is empty');
  const tokens: string[] = [];
  const scores = new Float64Array(items.length);
  let lowest = Number.POSITIVE_INFINITY;
  let characters = 0;
  items.forEach((item, id) => {
    if (!Array.isArray(item) || typeof item[0] !== 'string' || typeof item[1] !== 'number')
      throw vocab.fail(`entry ${id} is ${JSON.stringify(item)?.slice(0, 60)}, not [token, score]`);
    tokens.push(item[0]);
    scores[id] = item[1];
    lowest = Math.min(lowest, item[1]);
    characters += item[0].length;
  });
  const unknownPart = part.get('unk_id');
  const unknown = unknownPart.isMissing ? null : unknownPart.count();
  if (unknown !== null && unknown >= items.length)
    throw unknownPart.fail(`the unknown token's id ${unknown} is outside of the vocabulary of ${items.length} tokens`);
  const byteFallback = part.get('byte_fallback').boolean(false);

  const trie = new Trie(characters);
  for (const [id, token] of tokens.entries()) if (token.length > 0) trie.add(token, id);
  const vocabulary = new Vocabulary(TokenTable.of(tokens));
  const unknownScore = lowest - UNKNOWN_PENALTY;

  function needUnknown(): number {
    if (unknown === null)
      throw unknownPart.fail(
        'a text has characters outside of the vocabulary, but there is no unknown token',
        'set unk_id',
      );
    return unknown;
  }

  const rules: PieceScores = { trie, scores, unknownScore, unknownId: needUnknown };

  return {
    type: 'Unigram',
    vocabulary,
    tokenize(word) {
      const cut = bestCut(word, new Float64Array(word.length + 1), rules);
      const pieces: [number, number][] = [];
      let unknownEnd = -1;
      for (let end = word.length; end > 0; ) {
        const start = cut.starts[end] as number;
        if (cut.ids[end] === unknown) {
          const joined = pieces.at(-1);
          if (unknownEnd === end && joined !== undefined) joined[0] = start;
          else pieces.push([start, end]);
          unknownEnd = start;
        } else pieces.push([start, end]);
        end = start;
      }
      const ids: number[] = [];
      const starts: number[] = [];
      const ends: number[] = [];
      for (const [start, end] of pieces.reverse()) {
        const text = word.slice(start, end);
        const id = vocabulary.id(text);
        const bytes = id === undefined && byteFallback ? byteTokens(vocabulary, text) : null;
        for (const token of bytes ?? [id ?? needUnknown()]) {
          ids.push(token);
          starts.push(start);
          ends.push(end);
        }
      }
      return { ids, starts, ends };
    },
  };
}

/** What the best cut is chosen by. */
export interface PieceScores {
  readonly trie: Trie;
  /** Log-probabilities of pieces by id. */
  readonly scores: Float64Array;
  readonly unknownScore: number;
  unknownId(): number;
}

/**
 * Ids of the pieces of the best cut of a text by the unit that they end before, and where each begins: to be read from the end.
 * @param best the sums, zeros for every border of the text; their precision is the array's
 */
export function bestCut(
  text: string,
  best: Float64Array | Float32Array,
  { trie, scores, unknownScore, unknownId }: PieceScores,
): { readonly ids: Int32Array; readonly starts: Int32Array } {
  const size = text.length;
  const starts = new Int32Array(size + 1).fill(-1);
  const ids = new Int32Array(size + 1);
  // Of equal sums the first stays, so they have to be rounded before they are compared.
  const isSingle = best instanceof Float32Array;
  for (let start = 0; start < size; ) {
    const here = best[start] as number;
    const step = (text.codePointAt(start) as number) > 0xffff ? 2 : 1;
    let hasSingle = false;
    for (let at = start, node = 0; at < size; ) {
      node = trie.step(node, text.charCodeAt(at++));
      if (node < 0) break;
      const id = trie.valueAt(node);
      if (id < 0) continue;
      const exact = here + (scores[id] as number);
      const sum = isSingle ? Math.fround(exact) : exact;
      if (starts[at] === -1 || sum > (best[at] as number)) {
        best[at] = sum;
        starts[at] = start;
        ids[at] = id;
      }
      if (at - start === step) hasSingle = true;
    }
    if (!hasSingle) {
      const at = start + step;
      const exact = here + unknownScore;
      const sum = isSingle ? Math.fround(exact) : exact;
      if (starts[at] === -1 || sum > (best[at] as number)) {
        best[at] = sum;
        starts[at] = start;
        ids[at] = unknownId();
      }
    }
    start += step;
  }
  return { ids, starts };
}
