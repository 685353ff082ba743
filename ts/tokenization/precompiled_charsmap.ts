import { type AlignedText, applyChanges } from './aligned_text';
import type { JsonPart } from './json_part';

/** UTF-16 units segmented at a time. */
const WINDOW = 256;

/** Bytes that one character becomes at most (those of NFKC have 33): a longer one would only serve to make texts of any size. */
const LONGEST_REPLACEMENT = 1024;

/**
 * SentencePiece's precompiled character map by itself: a double-array trie (Darts) over UTF-8 bytes whose values point into a pool of
 * zero-terminated replacements.
 */
export class CharacterMap {
  private readonly units: Uint32Array;
  private readonly pool: Uint8Array;
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  /** Throws what `fail` makes of a map that its header doesn't fit. */
  constructor(bytes: Uint8Array, fail: (problem: string) => Error) {
    if (bytes.length < 4) throw fail('the character map is shorter than its header of 4 bytes');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const size = view.getUint32(0, true);
    if (size % 4 !== 0 || size > bytes.length - 4)
      throw fail(`the character map says its trie takes ${size} bytes, but ${bytes.length - 4} follow`);
    this.units = new Uint32Array(size / 4);
    for (let i = 0; i < this.units.length; i++) this.units[i] = view.getUint32(4 + 4 * i, true);
    this.pool = bytes.subarray(4 + size);
    for (let at = 0; at < this.pool.length; ) {
      const end = this.pool.indexOf(0, at);
      const length = (end < 0 ? this.pool.length : end) - at;
      if (length > LONGEST_REPLACEMENT)
        throw fail(`the character map has a replacement of ${length} bytes, more than ${LONGEST_REPLACEMENT}`);
      at += length + 1;
    }
  }

  /** What the shortest key that begins these bytes becomes, or null where none does. */
  shortest(bytes: Uint8Array): string | null {
    for (const { value } of this.matches(bytes, 0)) return this.replacement(value);
    return null;
  }

  /** The longest key that begins at a place: its bytes, and what it becomes. Null where none does. */
  longest(bytes: Uint8Array, at: number): { readonly length: number; readonly replacement: string } | null {
    let found: Match | null = null;
    for (const match of this.matches(bytes, at)) found = match;
    return found && { length: found.length, replacement: this.replacement(found.value) };
  }

  private *matches(bytes: Uint8Array, from: number): Generator<Match> {
    let position = 0;
    let unit = this.units[0] ?? 0;
    position ^= offsetOf(unit);
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (byte === 0) return;
      position ^= byte;
      unit = this.units[position] ?? 0;
      // The label is the low byte; the top bit marks a value, which never equals a byte.
      if ((unit & 0x800000ff) >>> 0 !== byte) return;
      position ^= offsetOf(unit);
      if (((unit >>> 8) & 1) === 1) yield { length: at + 1 - from, value: (this.units[position] ?? 0) & 0x7fffffff };
    }
  }

  private replacement(start: number): string {
    let end = start;
    while (end < this.pool.length && this.pool[end] !== 0) end++;
    return this.decoder.decode(this.pool.subarray(start, end));
  }
}

interface Match {
  readonly length: number;
  readonly value: number;
}

/** The character map as the reference of tokenizer.json applies it: the shortest key that begins a grapheme replaces the whole grapheme. */
export class PrecompiledCharsmap {
  private readonly map: CharacterMap;
  private readonly encoder = new TextEncoder();
  private readonly graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' });
  private readonly known = new Map<string, string | null>();

  constructor(part: JsonPart) {
    this.map = new CharacterMap(Buffer.from(part.string(), 'base64'), (problem) => part.fail(problem));
  }

  /** What a piece of text becomes, or null when it stays. */
  private replacement(piece: string): string | null {
    const cached = this.known.get(piece);
    if (cached !== undefined) return cached;
    const found = this.map.shortest(this.encoder.encode(piece));
    this.known.set(piece, found);
    return found;
  }

  normalize(source: AlignedText): AlignedText {
    const characters: string[] = [];
    const changes: number[] = [];
    let isModified = false;
    const replace = (oldPart: string, newPart: string): void => {
      isModified = true;
      const added = Array.from(newPart);
      const difference = added.length - Array.from(oldPart).length;
      for (let i = 0; i < added.length; i++) {
        characters.push(added[i] as string);
        changes.push(i >= added.length - difference ? 1 : 0);
      }
      // What was removed counts with the last character before it, even if that one came from another grapheme.
      if (difference < 0 && changes.length > 0)
        changes[changes.length - 1] = (changes[changes.length - 1] as number) + difference;
    };
    const visit = (grapheme: string): void => {
      // Longer graphemes are looked up character by character only (6 bytes, as in the reference).
      if (Buffer.byteLength(grapheme) < 6) {
        const whole = this.replacement(grapheme);
        if (whole !== null) {
          replace(grapheme, whole);
          return;
        }
      }
      for (const character of grapheme) {
        const part = this.replacement(character);
        if (part !== null) replace(character, part);
        else {
          characters.push(character);
          changes.push(0);
        }
      }
    };
    for (const grapheme of this.split(source.text)) visit(grapheme);
    return isModified ? applyChanges(source, { characters, changes }) : source;
  }

  /** Grapheme clusters. Between two ASCII characters there is always a border (but in CR LF), so only the rest is segmented. */
  private *split(text: string): Generator<string> {
    const isBorder = (at: number): boolean => {
      const before = text.charCodeAt(at - 1);
      const after = text.charCodeAt(at);
      return before < 0x80 && after < 0x80 && !(before === 0x0d && after === 0x0a);
    };
    for (let start = 0; start < text.length; ) {
      let end = start + 1;
      while (end < text.length && !isBorder(end)) end++;
      if (end === start + 1) yield text.charAt(start);
      else yield* this.segment(text.slice(start, end));
      start = end;
    }
  }

  /** Where a grapheme ends depends on what is before it only, so windows do; over a long text the segmenter takes quadratic time. */
  private *segment(text: string): Generator<string> {
    for (let start = 0, size = WINDOW; start < text.length; ) {
      const end = Math.min(text.length, start + size);
      const from = start;
      for (const { segment, index } of this.graphemes.segment(text.slice(start, end))) {
        // The last one of a window may go on.
        if (end < text.length && from + index + segment.length === end) break;
        yield segment;
        start = from + index + segment.length;
      }
      size = start === from ? 2 * size : WINDOW;
    }
  }
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}
