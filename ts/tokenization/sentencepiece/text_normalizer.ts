import { AlignedText, AlignedTextBuilder } from '../aligned_text';
import { invalidTokenizer } from '../json_part';
import { CharacterMap } from '../precompiled_charsmap';
import type { NormalizerSettings } from './model_file';

/** How SentencePiece writes spaces. */
export const SPACE = '\u2581';

/** Length of what begins at a place of a text and stays as it is, or 0. */
export type PrefixMatcher = (text: string, at: number) => number;

/**
 * SentencePiece's own normalization (normalizer.cc of version 0.2): the longest key of the character map that begins at a place is
 * replaced, spaces are put together and written as `▁`. (`Precompiled` of a tokenizer.json goes by graphemes instead.)
 */
export class TextNormalizer {
  private readonly map: CharacterMap | null;
  private readonly encoder = new TextEncoder();

  /**
   * @param file to name in complaints
   * @param kept symbols of the user, which no rule changes
   * @throws OctoformerError INVALID_TOKENIZER for a character map that can't be read
   */
  constructor(
    private readonly settings: NormalizerSettings,
    file: string,
    private readonly spaceBehind = false,
    private readonly kept: PrefixMatcher | null = null,
  ) {
    this.map =
      settings.charsmap.length === 0
        ? null
        : new CharacterMap(settings.charsmap, (problem) => invalidTokenizer(file, problem));
  }

  /** The normalized text, aligned with the one given. */
  normalize(text: string): AlignedText {
    const { removeExtraWhitespaces: collapses, addDummyPrefix, escapeWhitespaces } = this.settings;
    const space = escapeWhitespaces ? SPACE : ' ';
    const steps = this.steps(text);
    let step = steps.next();
    if (collapses) while (!step.done && step.value.content === ' ') step = steps.next();
    if (step.done) return AlignedText.of('');
    const builder = new AlignedTextBuilder(text.length + 1);
    let length = 0;
    /** Where the text would end without the spaces at its end. */
    let kept = 0;
    const push = (characters: string, start: number, end: number): void => {
      builder.push(characters, start, end);
      length += characters.length;
      if (!characters.endsWith(space)) kept = length;
    };
    if (addDummyPrefix && !this.spaceBehind) push(space, step.value.start, step.value.start);
    let afterSpace = collapses;
    for (; !step.done; step = steps.next()) {
      const { start, end } = step.value;
      let { content } = step.value;
      if (afterSpace) content = content.replace(/^ +/, '');
      if (content !== '') {
        for (const character of content) push(character === ' ' ? space : character, start, end);
        afterSpace = collapses && content.endsWith(' ');
      }
    }
    const whole = builder.build();
    const result = whole.slice(0, collapses ? kept : length);
    if (!addDummyPrefix || !this.spaceBehind) return result;
    const behind = new AlignedTextBuilder(result.text.length + 1);
    behind.copy(result, 0, result.text.length);
    behind.push(space, text.length, text.length);
    return behind.build();
  }

  /** The text in the pieces that rules are applied to, with what each becomes, in UTF-16 units of the text. */
  private *steps(text: string): Generator<{ readonly content: string; readonly start: number; readonly end: number }> {
    const bytes = this.map === null ? null : this.encoder.encode(text);
    for (let unit = 0, byte = 0; unit < text.length; ) {
      const start = unit;
      const same = this.kept?.(text, unit) ?? 0;
      const found = same === 0 && bytes !== null ? (this.map as CharacterMap).longest(bytes, byte) : null;
      const limit = found === null ? Number.POSITIVE_INFINITY : byte + found.length;
      do {
        const code = text.codePointAt(unit) as number;
        unit += code > 0xffff ? 2 : 1;
        byte += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      } while (unit < text.length && (found === null ? unit < start + same : byte < limit));
      yield { content: found?.replacement ?? text.slice(start, unit), start, end: unit };
    }
  }
}
