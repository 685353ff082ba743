import { tokenOfByte } from '../byte_tokens';
import { invalidTokenizer } from '../json_part';
import { Trie } from '../pair_table';
import { bestCut, UNKNOWN_PENALTY } from '../unigram';
import { type MergeablePieces, mergePieces } from './merge_pieces';
import { PIECE, type SentencePieceModel } from './model_file';
import { TextNormalizer } from './text_normalizer';

/** A piece of a text: `piece` is the text itself where it is unknown. */
export interface EncodedPiece {
  readonly piece: string;
  readonly isUnknown: boolean;
  /** Where it stands in the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

/** What the pieces of a cut text are before their places are known. */
interface CutPiece {
  readonly text: string;
  readonly isUnknown: boolean;
}

/**
 * Cuts texts into the pieces of a SentencePiece file as the library of that name does (version 0.2, `SentencePieceProcessor::Encode`): sums of float32 included.
 */
export class SentencePieceProcessor {
  private readonly normalizer: TextNormalizer;
  private readonly cut: (text: string) => CutPiece[];
  private readonly ids: ReadonlyMap<string, number>;

  /** @throws OctoformerError INVALID_TOKENIZER for two pieces that are the same, and a character map that can't be read */
  constructor(readonly model: SentencePieceModel) {
    this.ids = idsOf(model);
    const symbols = model.pieces.filter((_, id) => model.types[id] === PIECE.userDefined);
    const frozen = symbols.length === 0 ? null : longestOf(symbols);
    this.normalizer = new TextNormalizer(model.normalizer, model.file, model.whitespaceAsSuffix, frozen);
    this.cut = model.type === 'bpe' ? bpe(model, this.ids, frozen) : unigram(model);
  }

  /** The id of a piece; that of the unknown one for what is none. */
  idOf(piece: string): number {
    return this.ids.get(piece) ?? this.model.unknownId;
  }

  typeOf(id: number): number {
    return this.model.types[id] as number;
  }

  /** The pieces of a text. Unknown characters that follow each other are one piece, or one for each byte where the model has bytes. */
  encode(text: string): EncodedPiece[] {
    const normalized = this.normalizer.normalize(text);
    const found: EncodedPiece[] = [];
    let at = 0;
    for (const { text: piece, isUnknown } of this.cut(normalized.text)) {
      const start = normalized.startOf(at);
      at += piece.length;
      const end = normalized.endBefore(at);
      const last = found.at(-1);
      if (isUnknown && this.model.byteFallback) {
        for (const byte of Buffer.from(piece, 'utf8'))
          found.push({ piece: tokenOfByte(byte), isUnknown: false, start, end });
      } else if (isUnknown && last?.isUnknown) {
        found[found.length - 1] = { piece: last.piece + piece, isUnknown, start: last.start, end };
      } else found.push({ piece, isUnknown, start, end });
    }
    return found;
  }
}

function idsOf({ pieces, file }: SentencePieceModel): Map<string, number> {
  const ids = new Map<string, number>();
  for (const [id, piece] of pieces.entries()) {
    const first = ids.get(piece);
    if (first !== undefined)
      throw invalidTokenizer(file, `the pieces ${first} and ${id} are both ${JSON.stringify(piece)}`);
    ids.set(piece, id);
  }
  return ids;
}

/** Pieces that a text may be cut into; the others (`<s>`, `<0x0A>`) never stand in one. */
function isCuttable(type: number | undefined): boolean {
  return type === PIECE.normal || type === PIECE.userDefined || type === PIECE.unused;
}

/** The longest of some symbols that begins at a place of a text, as its length. */
function longestOf(symbols: readonly string[]): (text: string, at: number) => number {
  const trie = new Trie(symbols.reduce((sum, symbol) => sum + symbol.length, 0));
  for (const [index, symbol] of symbols.entries()) trie.add(symbol, index);
  return (text, from) => {
    let length = 0;
    for (let at = from, node = 0; at < text.length; ) {
      node = trie.step(node, text.charCodeAt(at++));
      if (node < 0) break;
      if (trie.valueAt(node) >= 0) length = at - from;
    }
    return length;
  };
}

function unigram(model: SentencePieceModel): (text: string) => CutPiece[] {
  const { pieces, scores, types, unknownId } = model;
  const trie = new Trie(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let [lowest, highest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const [id, piece] of pieces.entries()) {
    const type = types[id];
    // Unused pieces are looked past, so they need no place among the others.
    if (isCuttable(type) && type !== PIECE.unused) trie.add(piece, id);
    if (type !== PIECE.normal) continue;
    lowest = Math.min(lowest, scores[id] as number);
    highest = Math.max(highest, scores[id] as number);
  }
  // Symbols of the user win over whatever else could stand there. Their length counts in bytes.
  const weighted = Float64Array.from(scores, (score, id) =>
    types[id] === PIECE.userDefined ? Buffer.byteLength(pieces[id] as string) * highest - 0.1 : score,
  );
  const unknownScore = Math.fround(lowest - UNKNOWN_PENALTY);
  const rules = { trie, scores: weighted, unknownScore, unknownId: () => unknownId };
  return (text) => {
    const { ids, starts } = bestCut(text, new Float32Array(text.length + 1), rules);
    const found: CutPiece[] = [];
    for (let end = text.length; end > 0; end = starts[end] as number)
      found.push({ text: text.slice(starts[end], end), isUnknown: ids[end] === unknownId });
    return found.reverse();
  };
}

function bpe(
  { scores, types }: SentencePieceModel,
  ids: ReadonlyMap<string, number>,
  frozen: ((text: string, at: number) => number) | null,
): (text: string) => CutPiece[] {
  const order = Array.from(scores).sort((a, b) => b - a);
  const ranks = new Map<number, number>();
  for (const score of order) if (!ranks.has(score)) ranks.set(score, ranks.size);
  const idOf = (piece: string): number | undefined => {
    const id = ids.get(piece);
    return id !== undefined && isCuttable(types[id]) ? id : undefined;
  };
  const rules: MergeablePieces = {
    rank(piece) {
      const id = idOf(piece);
      return id === undefined ? undefined : ranks.get(scores[id] as number);
    },
    isUnused: (piece) => types[ids.get(piece) ?? -1] === PIECE.unused,
    frozenLength: (text, at) => frozen?.(text, at) ?? 0,
  };
  return (text) => mergePieces(text, rules).map((piece) => ({ text: piece, isUnknown: idOf(piece) === undefined }));
}
