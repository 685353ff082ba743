import type { JsonPart } from './json_part';
import { OnigurumaTranslator } from './oniguruma';

const escapePattern = /[\\^$.*+?()[\]{}|/]/g;

export function escapeRegex(text: string): string {
  return text.replace(escapePattern, '\\$&');
}

/** Finds ranges of a text: what splits and replacements are made of. */
export interface Matcher {
  /** Matches from left to right that do not overlap, as [start, end) in UTF-16 units. */
  find(text: string): [number, number][];
  /** For a literal pattern the literal. */
  readonly literal: string | null;
}

/** A matcher of all matches of a regular expression (flags must hold `g`, and `u` or `v`). */
export class RegexMatcher implements Matcher {
  readonly literal = null;

  constructor(private readonly regex: RegExp) {}

  find(text: string): [number, number][] {
    const found: [number, number][] = [];
    const { regex } = this;
    regex.lastIndex = 0;
    let lastEnd = -1;
    for (let match = regex.exec(text); match !== null; match = regex.exec(text)) {
      const start = match.index;
      const end = start + match[0].length;
      if (start !== end || end !== lastEnd) {
        found.push([start, end]);
        lastEnd = end;
      }
      if (start === end) regex.lastIndex = end + ((text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1);
    }
    return found;
  }
}

class LiteralMatcher implements Matcher {
  constructor(readonly literal: string) {}

  find(text: string): [number, number][] {
    const found: [number, number][] = [];
    const { literal } = this;
    if (literal.length === 0) return found;
    for (let at = text.indexOf(literal); at >= 0; at = text.indexOf(literal, at + literal.length))
      found.push([at, at + literal.length]);
    return found;
  }
}

/** Reads `{"String": …}` or `{"Regex": …}` (Oniguruma's syntax). */
export function readPattern(part: JsonPart): Matcher {
  if (typeof part.value === 'string') return new LiteralMatcher(part.value);
  const regex = part.get('Regex');
  if (!regex.isMissing) return new RegexMatcher(new OnigurumaTranslator(regex.string(), regex).compile());
  const literal = part.get('String');
  if (literal.isMissing) throw part.fail('a pattern has to be {"String": …} or {"Regex": …}');
  return new LiteralMatcher(literal.string());
}
