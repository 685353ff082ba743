import { type ClassDescription, extraTokensOf } from '../tokenizer_folder';
import type { FolderFacts } from './description';
import { PIECE, type SentencePieceModel } from './model_file';

// Tokenizers that Python makes anew from the pieces of a SentencePiece file, in the form of a tokenizer.json: their normalization and their cuts are that form's,
// not the SentencePiece library's.

/** A token and its score. */
export type ScoredToken = readonly [string, number];

/** The pieces from an id on with their scores. */
export function scoredPieces({ pieces, scores }: SentencePieceModel, from = 0): ScoredToken[] {
  return pieces.slice(from).map((piece, index) => [piece, scores[from + index] as number]);
}

/** Tokens that only serve to have an id. */
export function unscored(tokens: readonly string[]): ScoredToken[] {
  return tokens.map((token) => [token, 0]);
}

export function metaspace(scheme: 'always' | 'first' | 'never', split = true): object {
  return { type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split };
}

/** A `▁` before every word, of a text that is cut at white space first. */
export function wordsWithSpaces(scheme: 'always' | 'never'): object {
  return { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, metaspace(scheme)] };
}

/** The file's character map, as a list of one, or of none where it has none. */
export function charsmapOf({ normalizer: { charsmap } }: SentencePieceModel): object[] {
  if (charsmap.length === 0) return [];
  return [{ type: 'Precompiled', precompiled_charsmap: Buffer.from(charsmap).toString('base64') }];
}

/** Normalizers one after the other; null for none. */
export function inSequence(normalizers: readonly object[]): object | null {
  return normalizers.length === 0 ? null : { type: 'Sequence', normalizers };
}

export const joinedSpaces = { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' };

interface Parts {
  /** Ids of tokens. */
  readonly vocab: readonly string[];
  readonly model: object;
  readonly normalizer: object | null;
  readonly pre_tokenizer: object | null;
  readonly decoder: object;
  /** None where `add_bos_token` and `add_eos_token` of tokenizer_config.json say it. */
  readonly post_processor?: object;
  /** Special tokens without a role beside those that the files name. */
  readonly extraTokens?: readonly string[];
  /** Takes the spaces before the mask along, where no file says otherwise. */
  readonly maskTakesSpaces?: boolean;
}

/** The description of such a tokenizer. Control pieces are special, symbols of the user are found as a whole, and both in the text as it is. */
export function rebuilt(facts: FolderFacts, parts: Parts): ClassDescription {
  const { vocab, extraTokens = [], maskTakesSpaces = false, ...others } = parts;
  const { pieces, types } = facts.model();
  const ids = new Map(vocab.map((token, id) => [token, id]));
  const added = new Map<string, object>();
  const add = (content: string, flags: object): void => {
    const id = ids.get(content);
    if (id !== undefined && !added.has(content)) added.set(content, { id, content, normalized: false, ...flags });
  };
  for (const token of Object.values(facts.roles)) {
    const isMask = maskTakesSpaces && token === facts.roles.mask_token;
    add(token, { lstrip: isMask, ...facts.flags.get(token), special: true });
  }
  for (const [id, piece] of pieces.entries()) {
    const isControl = types[id] === PIECE.control;
    if (isControl || types[id] === PIECE.userDefined) add(piece, { special: isControl });
  }
  return {
    tokenizerJson: { added_tokens: [...added.values()], ...others },
    extraTokens: [...new Set([...extraTokens, ...extraTokensOf(facts)])],
  };
}
