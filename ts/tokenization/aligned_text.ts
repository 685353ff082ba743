/**
 * A text on its way through normalization that remembers where it came from: every UTF-16 unit knows the range of the original
 * text (UTF-16 units) that it stands for. All units of one character share one range. A text that was never changed keeps no
 * tables, so plain text costs nothing; slices share the tables of the text they were cut from.
 */
export class AlignedText {
  private constructor(
    readonly text: string,
    /** Original range of unit i is [starts[base + i], ends[base + i]); without tables it is [base + i, base + i + 1). */
    private readonly starts: Int32Array | null,
    private readonly ends: Int32Array | null,
    private readonly base: number,
  ) {}

  /** An unchanged piece that begins at `start` of the original. */
  static of(text: string, start = 0): AlignedText {
    return new AlignedText(text, null, null, start);
  }

  static withTables(text: string, starts: Int32Array, ends: Int32Array): AlignedText {
    return new AlignedText(text, starts, ends, 0);
  }

  /** Start in the original of the character at `unit`. */
  startOf(unit: number): number {
    return this.starts === null ? this.base + unit : (this.starts[this.base + unit] as number);
  }

  /** End in the original of the character that ends before `unit` (1 or more). */
  endBefore(unit: number): number {
    return this.ends === null ? this.base + unit : (this.ends[this.base + unit - 1] as number);
  }

  /** Where the piece begins in the original; an empty piece has lost its place and says 0. */
  get originalStart(): number {
    return this.text.length === 0 ? 0 : this.startOf(0);
  }

  slice(start: number, end: number): AlignedText {
    if (start === 0 && end === this.text.length) return this;
    return new AlignedText(this.text.slice(start, end), this.starts, this.ends, this.base + start);
  }

  /** Other characters of exactly the same lengths in the same places. */
  withSameShape(text: string): AlignedText {
    return new AlignedText(text, this.starts, this.ends, this.base);
  }
}

/** Collects the characters of a changed text with their original ranges. */
export class AlignedTextBuilder {
  private text = '';
  private starts: Int32Array;
  private ends: Int32Array;
  private length = 0;

  constructor(capacity: number) {
    this.starts = new Int32Array(capacity + 16);
    this.ends = new Int32Array(capacity + 16);
  }

  /** Appends characters that all stand for [start, end) of the original. */
  push(characters: string, start: number, end: number): void {
    this.reserve(characters.length);
    for (let i = 0; i < characters.length; i++) {
      this.starts[this.length] = start;
      this.ends[this.length++] = end;
    }
    this.text += characters;
  }

  /** Appends units [from, to) of another text with their ranges. Both ends are at characters' borders. */
  copy(source: AlignedText, from: number, to: number): void {
    this.reserve(to - from);
    for (let i = from; i < to; i++) {
      // A unit of a pair of surrogates stands for the whole pair.
      const code = source.text.charCodeAt(i);
      const second = code >= 0xdc00 && code <= 0xdfff;
      const first = code >= 0xd800 && code <= 0xdbff;
      this.starts[this.length] = source.startOf(second ? i - 1 : i);
      this.ends[this.length++] = source.endBefore(first ? i + 2 : i + 1);
    }
    this.text += source.text.slice(from, to);
  }

  build(): AlignedText {
    return AlignedText.withTables(this.text, this.starts, this.ends);
  }

  private reserve(count: number): void {
    if (this.length + count <= this.starts.length) return;
    const capacity = 2 * (this.length + count);
    const starts = new Int32Array(capacity);
    const ends = new Int32Array(capacity);
    starts.set(this.starts);
    ends.set(this.ends);
    this.starts = starts;
    this.ends = ends;
  }
}

/**
 * A list of characters with what each did to the old text: 0 took the place of one old character, a positive number was inserted
 * (it stands for what the character before it in the old text stands for), -n took the place of one and n more were removed after it.
 */
export interface CharacterChanges {
  readonly characters: string[];
  readonly changes: number[];
}

/** Replaces the whole text, character by character, after dropping `removedFirst` old characters. */
export function applyChanges(
  source: AlignedText,
  { characters, changes }: CharacterChanges,
  removedFirst = 0,
): AlignedText {
  const { text } = source;
  const builder = new AlignedTextBuilder(text.length);
  let unit = 0;
  const advance = (count: number): void => {
    for (let i = 0; i < count && unit < text.length; i++) unit += (text.codePointAt(unit) as number) > 0xffff ? 2 : 1;
  };
  advance(removedFirst);
  for (let i = 0; i < characters.length; i++) {
    const change = changes[i] as number;
    // Changes that do not add up (some character maps do that) may run past the end; the last character stands in then.
    const inserted = change > 0 || unit >= text.length;
    if (inserted) {
      if (unit === 0) builder.push(characters[i] as string, source.originalStart, source.originalStart);
      else {
        const low = text.charCodeAt(unit - 1);
        const pair = low >= 0xdc00 && low <= 0xdfff;
        builder.push(characters[i] as string, source.startOf(pair ? unit - 2 : unit - 1), source.endBefore(unit));
      }
    } else {
      const start = source.startOf(unit);
      advance(1);
      builder.push(characters[i] as string, start, source.endBefore(unit));
    }
    if (change < 0) advance(-change);
  }
  return builder.build();
}

/** Keeps the characters that `removed` (a global regular expression of single characters) does not match. */
export function removeMatches(source: AlignedText, removed: RegExp): AlignedText {
  if (source.text.search(removed) < 0) return source;
  const builder = new AlignedTextBuilder(source.text.length);
  let last = 0;
  for (const match of source.text.matchAll(removed)) {
    builder.copy(source, last, match.index);
    last = match.index + match[0].length;
  }
  builder.copy(source, last, source.text.length);
  return builder.build();
}

/** Puts `prefix` before the text; it stands for what the first character stands for. An empty text stays empty. */
export function prepend(source: AlignedText, prefix: string): AlignedText {
  const { text } = source;
  if (text.length === 0 || prefix.length === 0) return source;
  const builder = new AlignedTextBuilder(text.length + prefix.length);
  builder.push(prefix, source.startOf(0), source.endBefore((text.codePointAt(0) as number) > 0xffff ? 2 : 1));
  builder.copy(source, 0, text.length);
  return builder.build();
}

/** Puts `content` in the place of each range; it stands for what the last character of the range stands for. */
export function replaceRanges(
  source: AlignedText,
  ranges: readonly (readonly [number, number])[],
  content: string,
): AlignedText {
  const { text } = source;
  const builder = new AlignedTextBuilder(text.length);
  let last = 0;
  for (const [start, end] of ranges) {
    builder.copy(source, last, start);
    if (end === 0) builder.push(content, source.originalStart, source.originalStart);
    else {
      const low = text.charCodeAt(end - 1);
      const pair = low >= 0xdc00 && low <= 0xdfff;
      builder.push(content, source.startOf(pair ? end - 2 : end - 1), source.endBefore(end));
    }
    last = end;
  }
  builder.copy(source, last, text.length);
  return builder.build();
}
