import type { OctoformerError } from '../binding/error';
import type { JsonPart } from './json_part';
import { caseVariants, codePoint, POSIX } from './oniguruma_tables';
import { WORD as UNICODE_WORD, WHITE_SPACE } from './unicode';

/**
 * A word character outside of brackets: there Oniguruma asks a table of Latin-1 that counts superscript digits and fractions in.
 */
const WORD = `${UNICODE_WORD}\\u00b2\\u00b3\\u00b9\\u00bc-\\u00be`;

/** Groups within groups; a pattern of a real tokenizer needs three or four, a hostile one would exhaust the stack. */
const MAX_DEPTH = 100;
/** The longest pattern accepted: the longest of a published tokenizer has about 1,500 characters. */
const MAX_PATTERN_LENGTH = 65536;

function escapeCode(code: number): string {
  return `\\u{${code.toString(16)}}`;
}

/**
 * Turns a regular expression in Oniguruma's syntax (what tokenizer.json holds) into a JavaScript one with flags `gv`. Differences
 * that matter are translated: `\s \w \d \b` are Unicode's, `^` and `$` match at lines, `(?i:…)` covers a part only, possessive
 * quantifiers and atomic groups become a lookahead with a back reference. What JavaScript can't express is refused with INVALID_TOKENIZER.
 */
export class OnigurumaTranslator {
  private position = 0;
  private depth = 0;
  private atomics = 0;
  private captures = 0;

  constructor(
    private readonly pattern: string,
    private readonly part: JsonPart,
  ) {}

  compile(): RegExp {
    if (this.pattern.length > MAX_PATTERN_LENGTH)
      throw this.part.fail(
        `a regular expression of ${this.pattern.length} characters is too long`,
        `at most ${MAX_PATTERN_LENGTH} are accepted`,
      );
    const source = this.alternatives({ ignoreCase: false, dotAll: false, extended: false });
    if (this.position < this.pattern.length) throw this.unsupported('an unmatched )');
    try {
      return new RegExp(source, 'gv');
    } catch (error) {
      throw this.part.fail(
        `the regular expression ${JSON.stringify(this.pattern)} is not valid: ${(error as Error).message}`,
      );
    }
  }

  private unsupported(what: string): OctoformerError {
    return this.part.fail(
      `the regular expression ${JSON.stringify(this.pattern.slice(0, 200))} uses ${what} at character ${this.position}, which is not supported`,
      'rewrite that part of the pattern',
    );
  }

  private peek(text: string): boolean {
    return this.pattern.startsWith(text, this.position);
  }

  private take(text: string): boolean {
    if (!this.peek(text)) return false;
    this.position += text.length;
    return true;
  }

  private next(): string {
    const code = this.pattern.codePointAt(this.position);
    if (code === undefined) throw this.unsupported('an unfinished construct');
    const character = String.fromCodePoint(code);
    this.position += character.length;
    return character;
  }

  private until(end: string): string {
    const at = this.pattern.indexOf(end, this.position);
    if (at < 0) throw this.unsupported(`a construct without its ${end}`);
    const text = this.pattern.slice(this.position, at);
    this.position = at + end.length;
    return text;
  }

  private alternatives(outer: Modes): string {
    if (++this.depth > MAX_DEPTH) throw this.unsupported(`more than ${MAX_DEPTH} groups within groups`);
    let modes = outer;
    let result = '';
    let closing = '';
    while (this.position < this.pattern.length && !this.peek(')')) {
      if (this.take('|')) {
        result += '|';
        continue;
      }
      const switched = this.modeSwitch(modes);
      if (switched !== null) {
        // Oniguruma: (?i) holds to the end of the group, further alternatives included, which belong to it.
        modes = switched;
        result += '(?:';
        closing += ')';
        continue;
      }
      result += this.quantified(modes);
    }
    this.depth--;
    return result + closing;
  }

  /** Reads `(?imx-imx)` if it stands here. */
  private modeSwitch(modes: Modes): Modes | null {
    const match = /^\(\?([imx]*)(?:-([imx]+))?\)/.exec(this.pattern.slice(this.position, this.position + 12));
    if (match === null) return null;
    this.position += match[0].length;
    return withModes(modes, match[1] ?? '', match[2] ?? '');
  }

  private quantified(modes: Modes): string {
    if (modes.extended) {
      const skipped = /^(?:\s+|#[^\n]*)/.exec(this.pattern.slice(this.position));
      if (skipped !== null) {
        this.position += skipped[0].length;
        return '';
      }
    }
    let atom = this.atom(modes);
    if (atom === '') return '';
    for (;;) {
      let quantifier = '';
      const interval = /^\{(\d+(?:,\d*)?|,\d+)\}/.exec(this.pattern.slice(this.position, this.position + 24));
      if (this.take('?')) quantifier = '?';
      else if (this.take('*')) quantifier = '*';
      else if (this.take('+')) quantifier = '+';
      else if (interval !== null) {
        this.position += interval[0].length;
        quantifier = (interval[1] as string).startsWith(',') ? `{0${interval[1]}}` : interval[0];
      } else return atom;
      if (this.take('?')) atom = `${atom}${quantifier}?`;
      else if (interval === null && this.take('+')) atom = this.atomic(`${atom}${quantifier}`);
      else atom = `${atom}${quantifier}`;
      // A further quantifier applies to the whole of it.
      if (/^[?*+{]/.test(this.pattern.charAt(this.position))) atom = `(?:${atom})`;
    }
  }

  /** Matches `source` once and never gives anything back: a lookahead is not entered again. */
  private atomic(source: string): string {
    const name = `atomic${this.atomics++}`;
    return `(?:(?=(?<${name}>${source}))\\k<${name}>)`;
  }

  private atom(modes: Modes): string {
    if (this.take('(')) return this.group(modes);
    if (this.take('[')) return this.characterClass(modes);
    if (this.take('.')) return modes.dotAll ? '[\\u{0}-\\u{10ffff}]' : '[^\\n]';
    if (this.take('^')) return '(?<![^\\n])';
    if (this.take('$')) return '(?![^\\n])';
    if (this.take('\\')) return this.escape(modes);
    const character = this.next();
    return this.literal(codePoint(character), modes);
  }

  private literal(code: number, modes: Modes): string {
    if (!modes.ignoreCase) return escapeCode(code);
    const variants = caseVariants(code);
    return variants.length === 1 ? escapeCode(code) : `[${variants.map(escapeCode).join('')}]`;
  }

  private group(modes: Modes): string {
    if (this.take('?#')) {
      this.until(')');
      return '';
    }
    let inner = modes;
    let open = '(?:';
    let isAtomic = false;
    if (this.take('?:')) open = '(?:';
    else if (this.take('?=')) open = '(?=';
    else if (this.take('?!')) open = '(?!';
    else if (this.take('?<=')) open = '(?<=';
    else if (this.take('?<!')) open = '(?<!';
    else if (this.take('?>')) isAtomic = true;
    else if (this.take('?')) {
      const flags = /^([imx]*)(?:-([imx]+))?:/.exec(this.pattern.slice(this.position, this.position + 12));
      if (flags === null) throw this.unsupported(`the group (?${this.pattern.charAt(this.position)}`);
      this.position += flags[0].length;
      inner = withModes(modes, flags[1] ?? '', flags[2] ?? '');
    } else {
      this.captures++;
      open = `(?<group${this.captures}>`;
    }
    const body = this.alternatives(inner);
    if (!this.take(')')) throw this.unsupported('a group without its )');
    const source = `${open}${body})`;
    // In a regular expression of flag v a lookahead can't be repeated; a group around it can.
    if (isAtomic) return this.atomic(body);
    return open.startsWith('(?=') || open.startsWith('(?!') || open.startsWith('(?<=') || open.startsWith('(?<!')
      ? `(?:${source})`
      : source;
  }

  private escape(modes: Modes): string {
    const body = this.classEscape(WORD);
    if (body !== null) return `[${body}]`;
    const character = this.next();
    switch (character) {
      case 'b':
        return `(?:(?<=[${WORD}])(?![${WORD}])|(?<![${WORD}])(?=[${WORD}]))`;
      case 'B':
        return `(?:(?<=[${WORD}])(?=[${WORD}])|(?<![${WORD}])(?![${WORD}]))`;
      case 'A':
        return '(?<![\\u{0}-\\u{10ffff}])';
      case 'z':
        return '(?![\\u{0}-\\u{10ffff}])';
      case 'Z':
        return '(?=\\n?(?![\\u{0}-\\u{10ffff}]))';
      case 'R':
        return '(?:\\r\\n|[\\n\\v\\f\\r\\u{85}\\u{2028}\\u{2029}])';
      default:
        this.position -= character.length;
        if (/[1-9]/.test(character)) {
          const group = Number(this.next());
          if (group > this.captures) throw this.unsupported(`the back reference \\${group}`);
          return `\\k<group${group}>`;
        }
        return this.literal(this.characterEscape(), modes);
    }
  }

  /** After a backslash: an escape that stands for a set, as the body of a class; null if it is not one. */
  private classEscape(word: string): string | null {
    const character = this.pattern.charAt(this.position);
    const simple: Readonly<Record<string, string>> = {
      s: WHITE_SPACE,
      S: `[^${WHITE_SPACE}]`,
      d: '\\p{Nd}',
      D: '\\P{Nd}',
      w: word,
      W: `[^${word}]`,
      h: '0-9A-Fa-f',
      H: '[^0-9A-Fa-f]',
    };
    const body = Object.hasOwn(simple, character) ? simple[character] : undefined;
    if (body !== undefined) {
      this.position++;
      return body;
    }
    if (character !== 'p' && character !== 'P') return null;
    this.position++;
    if (!this.take('{')) throw this.unsupported('\\p without {…}');
    let name = this.until('}');
    let negated = character === 'P';
    if (name.startsWith('^')) {
      negated = !negated;
      name = name.slice(1);
    }
    const set = this.property(name);
    return negated ? `[^${set}]` : set;
  }

  private property(name: string): string {
    const posix = POSIX[name.toLowerCase()];
    if (posix !== undefined && Object.hasOwn(POSIX, name.toLowerCase())) return posix;
    if (/^[A-Za-z_ -]+$/.test(name)) {
      const words = name.replace(/[ -]/g, '_');
      for (const candidate of [
        words,
        `Script=${words}`,
        `Script=${words.charAt(0).toUpperCase()}${words.slice(1).toLowerCase()}`,
      ]) {
        try {
          new RegExp(`\\p{${candidate}}`, 'v');
          return `\\p{${candidate}}`;
        } catch {
          // Not a name that this engine knows: try the next spelling.
        }
      }
    }
    throw this.unsupported(`the property \\p{${name}}`);
  }

  /** After a backslash: an escape that stands for one character. */
  private characterEscape(): number {
    const character = this.next();
    const control = 'tnrfvae'.indexOf(character);
    if (control >= 0) return [9, 10, 13, 12, 11, 7, 27][control] as number;
    if (character === 'x') {
      const digits = this.take('{') ? this.until('}') : this.hexadecimal(1, 2);
      return this.code(digits);
    }
    if (character === 'u') return this.code(this.hexadecimal(4, 4));
    if (character === '0') {
      const octal = /^[0-7]{0,2}/.exec(this.pattern.slice(this.position, this.position + 2))?.[0] ?? '';
      this.position += octal.length;
      return Number.parseInt(`0${octal}`, 8);
    }
    if (/[A-Za-z0-9]/.test(character)) {
      this.position -= character.length;
      throw this.unsupported(`\\${character}`);
    }
    return codePoint(character);
  }

  private hexadecimal(least: number, most: number): string {
    const digits = new RegExp(`^[0-9A-Fa-f]{${least},${most}}`).exec(
      this.pattern.slice(this.position, this.position + most),
    )?.[0];
    if (digits === undefined) throw this.unsupported('an escape without its hexadecimal digits');
    this.position += digits.length;
    return digits;
  }

  private code(digits: string): number {
    const code = /^[0-9A-Fa-f]{1,6}$/.test(digits) ? Number.parseInt(digits, 16) : Number.NaN;
    if (!(code <= 0x10ffff)) throw this.unsupported(`the code point ${digits}`);
    return code;
  }

  /** After `[`. */
  private characterClass(modes: Modes): string {
    if (++this.depth > MAX_DEPTH) throw this.unsupported(`more than ${MAX_DEPTH} classes within classes`);
    const negated = this.take('^');
    const operands: string[] = [];
    let body = '';
    let isFirst = true;
    for (;;) {
      if (!isFirst && this.take(']')) break;
      if (isFirst && this.peek(']') && this.pattern.indexOf(']', this.position + 1) < 0)
        throw this.unsupported('an empty class');
      if (this.take('&&')) {
        operands.push(body);
        body = '';
        isFirst = false;
        continue;
      }
      if (this.take('[:')) {
        const inverted = this.take('^');
        const name = this.until(':]');
        const set = Object.hasOwn(POSIX, name) ? POSIX[name] : undefined;
        if (set === undefined) throw this.unsupported(`the class [:${name}:]`);
        body += inverted ? `[^${set}]` : set;
      } else if (this.take('[')) body += this.characterClass(modes);
      else body += this.classRange(modes);
      isFirst = false;
    }
    this.depth--;
    operands.push(body);
    const joined = operands.length === 1 ? body : operands.map((operand) => `[${operand}]`).join('&&');
    return `[${negated ? '^' : ''}${joined}]`;
  }

  private classRange(modes: Modes): string {
    let first: number;
    if (this.take('\\')) {
      const set = this.classEscape(UNICODE_WORD);
      if (set !== null) return set;
      first = this.take('b') ? 8 : this.characterEscape();
    } else first = codePoint(this.next());
    if (!this.peek('-') || this.peek('-]') || this.peek('-[')) return this.range(first, first, modes);
    const before = this.position;
    this.position++;
    let last: number;
    if (this.take('\\')) {
      if (/[sSdDwWhHpP]/.test(this.pattern.charAt(this.position))) {
        this.position = before;
        return this.range(first, first, modes);
      }
      last = this.characterEscape();
    } else last = codePoint(this.next());
    if (last < first) throw this.unsupported(`an empty range in a class`);
    return this.range(first, last, modes);
  }

  private range(first: number, last: number, modes: Modes): string {
    let body = first === last ? escapeCode(first) : `${escapeCode(first)}-${escapeCode(last)}`;
    if (!modes.ignoreCase) return body;
    // Beyond this many code points a range holds whole scripts, and with them both cases of their letters.
    for (let code = first; code <= Math.min(last, first + 1024); code++)
      for (const variant of caseVariants(code)) if (variant < first || variant > last) body += escapeCode(variant);
    return body;
  }
}

interface Modes {
  readonly ignoreCase: boolean;
  readonly dotAll: boolean;
  readonly extended: boolean;
}

function withModes(modes: Modes, on: string, off: string): Modes {
  const mode = (letter: string, value: boolean): boolean => (on.includes(letter) || value) && !off.includes(letter);
  return {
    ignoreCase: mode('i', modes.ignoreCase),
    dotAll: mode('m', modes.dotAll),
    extended: mode('x', modes.extended),
  };
}
