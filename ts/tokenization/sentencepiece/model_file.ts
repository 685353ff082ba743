import { invalidTokenizer } from '../json_part';
import { protobufFields } from './protobuf';

/** Kinds of pieces (`SentencePiece.Type` of sentencepiece_model.proto). */
export const PIECE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** Kinds of models (`TrainerSpec.ModelType`) that are read here. */
export type ModelType = 'unigram' | 'bpe';

/** What a SentencePiece file says of changing a text before it is cut, or after it was joined. */
export interface NormalizerSettings {
  /** A trie of replacements; empty where characters stay as they are. */
  readonly charsmap: Uint8Array;
  /** Puts a space before the text. */
  readonly addDummyPrefix: boolean;
  /** Takes away spaces at the ends and all but one between words. */
  readonly removeExtraWhitespaces: boolean;
  /** Writes spaces as `▁`. */
  readonly escapeWhitespaces: boolean;
}

/** What a SentencePiece file (`.model`, `.spm`) holds, pieces by their ids. */
export interface SentencePieceModel {
  /** Name of the file, for complaints. */
  readonly file: string;
  readonly pieces: readonly string[];
  /** As float32, in which they are stored and computed with. */
  readonly scores: Float32Array;
  readonly types: Uint8Array;
  readonly type: ModelType;
  readonly unknownId: number;
  readonly unknownPiece: string;
  /** What decoding writes for the unknown piece. */
  readonly unknownSurface: string;
  readonly byteFallback: boolean;
  /** The space of `addDummyPrefix` goes behind the text. */
  readonly whitespaceAsSuffix: boolean;
  readonly normalizer: NormalizerSettings;
  readonly denormalizer: NormalizerSettings;
}

type Fields = ReadonlyMap<number, number | Uint8Array>;

const MODEL_TYPES: Readonly<Record<number, string>> = { 1: 'unigram', 2: 'bpe', 3: 'word', 4: 'char' };

/** The largest published file has 5 MB (256,000 pieces). */
export const MOST_MODEL_BYTES = 32 * 1024 * 1024;

/**
 * Reads a SentencePiece file (a protobuf ModelProto).
 * @param file its name
 * @throws OctoformerError INVALID_TOKENIZER, naming the file, for one that is no such file, is cut off, or holds a kind of model that
 *   isn't known
 */
export function readSentencePieceModel(bytes: Uint8Array, file: string): SentencePieceModel {
  const fail = (problem: string, remedy?: string) => invalidTokenizer(file, problem, remedy);
  const text = textReader(fail);
  const pieces: string[] = [];
  const scores: number[] = [];
  const types: number[] = [];
  const parts = new Map<number, Fields>();
  for (const { number, value } of protobufFields(bytes, fail)) {
    if (number > 5 || typeof value === 'number') continue;
    if (number !== 1) {
      if (number !== 4) parts.set(number, lastOfEach(protobufFields(value, fail)));
      continue;
    }
    const piece = lastOfEach(protobufFields(value, fail));
    const content = text(piece.get(1), `piece ${pieces.length}`);
    if (content === '') throw fail(`piece ${pieces.length} is empty`);
    const type = wholeNumber(piece.get(3), PIECE.normal);
    if (type < PIECE.normal || type > PIECE.byte) throw fail(`piece ${pieces.length} has the unknown type ${type}`);
    const score = float32(piece.get(2));
    if (!Number.isFinite(score)) throw fail(`the score of piece ${pieces.length} is ${score}`);
    pieces.push(content);
    scores.push(score);
    types.push(type);
  }
  if (pieces.length === 0) throw fail('there are no pieces in it: it is empty, cut off, or no SentencePiece file');
  const trainer = parts.get(2) ?? new Map();
  const unknownId = types.indexOf(PIECE.unknown);
  if (unknownId < 0) throw fail('no piece is the unknown one');
  if (types.lastIndexOf(PIECE.unknown) !== unknownId) throw fail('several pieces are the unknown one');
  return {
    file,
    pieces,
    scores: Float32Array.from(scores),
    types: Uint8Array.from(types),
    type: modelType(wholeNumber(trainer.get(3), 1), fail),
    unknownId,
    unknownPiece: pieces[unknownId] as string,
    unknownSurface: trainer.has(44) ? text(trainer.get(44), 'unk_surface') : ' \u2047 ',
    byteFallback: flag(trainer.get(35), false),
    whitespaceAsSuffix: flag(trainer.get(24), false),
    normalizer: normalizerSettings(parts.get(3) ?? new Map()),
    denormalizer: normalizerSettings(parts.get(5) ?? new Map()),
  };
}

function modelType(number: number, fail: (problem: string, remedy: string) => Error): ModelType {
  const name = MODEL_TYPES[number];
  if (name === 'unigram' || name === 'bpe') return name;
  throw fail(
    `its kind of model is ${name ?? number}, which is not supported`,
    'unigram and bpe are; in Python, AutoTokenizer.from_pretrained(SOURCE).save_pretrained(FOLDER) may write a tokenizer.json',
  );
}

function normalizerSettings(fields: Fields): NormalizerSettings {
  const charsmap = fields.get(2);
  return {
    charsmap: charsmap instanceof Uint8Array ? charsmap : new Uint8Array(0),
    addDummyPrefix: flag(fields.get(3), true),
    removeExtraWhitespaces: flag(fields.get(4), true),
    escapeWhitespaces: flag(fields.get(5), true),
  };
}

/** Of a field that is there several times the last one counts. */
function lastOfEach(fields: Iterable<{ number: number; value: number | Uint8Array }>): Fields {
  const found = new Map<number, number | Uint8Array>();
  for (const { number, value } of fields) found.set(number, value);
  return found;
}

function textReader(
  fail: (problem: string) => Error,
): (value: number | Uint8Array | undefined, what: string) => string {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return (value, what) => {
    if (!(value instanceof Uint8Array)) throw fail(`${what} has no text`);
    try {
      return decoder.decode(value);
    } catch {
      throw fail(`${what} is no UTF-8 text`);
    }
  };
}

function wholeNumber(value: number | Uint8Array | undefined, fallback: number): number {
  return typeof value === 'number' ? value : fallback;
}

function flag(value: number | Uint8Array | undefined, fallback: boolean): boolean {
  return typeof value === 'number' ? value !== 0 : fallback;
}

function float32(value: number | Uint8Array | undefined): number {
  if (!(value instanceof Uint8Array) || value.length !== 4) return 0;
  return new DataView(value.buffer, value.byteOffset, 4).getFloat32(0, true);
}
