import { PYTHON_SPACE } from '../python_space';
import { TemplateError, trimmed } from './values';

// Jinja's lexer with the settings of transformers: `trim_blocks` (no line end behind a statement) and `lstrip_blocks` (no white space before one on
// its line).

export type TokenKind =
  | 'text'
  | 'begin'
  | 'end'
  | 'open'
  | 'close'
  | 'name'
  | 'string'
  | 'integer'
  | 'float'
  | 'operator';

/** A piece of a template: `begin` and `end` stand around a statement, `open` and `close` around an expression that is printed. */
export interface Token {
  readonly kind: TokenKind;
  /** What it says: of a string its content, of a number its digits. */
  readonly value: string;
  readonly line: number;
}

const space = `[${PYTHON_SPACE}]`;
const tag = /\{[{%#]/g;
const blockEnd = new RegExp(`\\+%\\}|-%\\}${space}*|%\\}\\n?`, 'y');
const expressionEnd = new RegExp(`-\\}\\}${space}*|\\}\\}`, 'y');
const commentEnd = new RegExp(`\\+#\\}|-#\\}${space}*|#\\}\\n?`, 'g');
const rawBegin = new RegExp(`\\{%[-+]?${space}*raw${space}*(?:-%\\}${space}*|%\\})`, 'y');
const rawEnd = new RegExp(`\\{%([-+]?)${space}*endraw${space}*(?:\\+%\\}|-%\\}${space}*|%\\}\\n?)`, 'g');
const whiteSpace = new RegExp(`${space}+`, 'y');
const onlySpace = new RegExp(`^${space}+$`);
const name = /[\p{L}\p{Nl}_][\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}]*/uy;
const float = /(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?[eE][+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/y;
const integer = /0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[\da-fA-F])+|[1-9](?:_?\d)*|0(?:_?0)*/y;
const string = /'([^'\\]*(?:\\.[^'\\]*)*)'|"([^"\\]*(?:\\.[^"\\]*)*)"/sy;
const operator = /\/\/|\*\*|==|!=|>=|<=|[-+*/%~[\](){}<>=.:|,;]/y;
const closing: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** @throws TemplateError */
export function tokenize(template: string): Token[] {
  return new Lexer(template).run();
}

class Lexer {
  private readonly tokens: Token[] = [];
  private readonly source: string;
  private at = 0;
  private lineStart = true;
  private line = 1;
  private counted = 0;

  constructor(template: string) {
    this.source = template.replace(/\r\n?/g, '\n').replace(/\n$/, '');
  }

  run(): Token[] {
    while (this.at < this.source.length) this.piece();
    return this.tokens;
  }

  /** A text, and the tag that follows it. */
  private piece(): void {
    tag.lastIndex = this.at;
    const found = tag.exec(this.source);
    if (!found) {
      this.push('text', this.source.slice(this.at));
      this.at = this.source.length;
      return;
    }
    const kind = found[0];
    const raw = kind === '{%' ? match(rawBegin, this.source, found.index) : undefined;
    const sign = this.source[found.index + 2] ?? '';
    this.text(this.source.slice(this.at, found.index), sign, kind !== '{{');
    if (raw !== undefined) {
      this.advance(found.index + raw.length);
      this.raw();
      return;
    }
    this.advance(found.index + 2 + (sign === '-' || sign === '+' ? 1 : 0));
    if (kind === '{#') this.comment();
    else if (kind === '{%') this.inside('begin', 'end', blockEnd);
    else this.inside('open', 'close', expressionEnd);
  }

  /** The text before a tag, without the white space that the tag takes. */
  private text(text: string, sign: string, isStatement: boolean): void {
    if (sign === '-') {
      this.push('text', trimmed(text, { left: false }));
      return;
    }
    const line = text.lastIndexOf('\n') + 1;
    const isCut = isStatement && sign !== '+' && (line > 0 || this.lineStart) && onlySpace.test(text.slice(line));
    this.push('text', isCut ? text.slice(0, line) : text);
  }

  private raw(): void {
    rawEnd.lastIndex = this.at;
    const end = rawEnd.exec(this.source);
    if (!end) throw this.fail('Missing end of raw directive');
    this.text(this.source.slice(this.at, end.index), end[1] ?? '', true);
    this.advance(rawEnd.lastIndex);
  }

  private comment(): void {
    commentEnd.lastIndex = this.at;
    if (!commentEnd.exec(this.source)) throw this.fail('Missing end of comment tag');
    this.advance(commentEnd.lastIndex);
  }

  /** A statement or an expression, up to its end. */
  private inside(begin: TokenKind, end: TokenKind, pattern: RegExp): void {
    this.push(begin, '');
    const open: string[] = [];
    while (this.at < this.source.length) {
      // Within brackets `}}` is two of them.
      const ended = open.length === 0 ? match(pattern, this.source, this.at) : undefined;
      if (ended !== undefined) {
        this.push(end, '');
        this.advance(this.at + ended.length);
        return;
      }
      this.token(open);
    }
    throw this.fail('unexpected end of template');
  }

  private token(open: string[]): void {
    const take = (pattern: RegExp) => match(pattern, this.source, this.at);
    const skipped = take(whiteSpace);
    if (skipped !== undefined) {
      this.advance(this.at + skipped.length);
      return;
    }
    const isMember = this.source[this.at - 1] === '.';
    const kinds: readonly (readonly [TokenKind, RegExp])[] = [
      ...(isMember ? [] : [['float', float] as const]),
      ['integer', integer],
      ['name', name],
      ['operator', operator],
    ];
    for (const [kind, pattern] of kinds) {
      const value = take(pattern);
      if (value === undefined) continue;
      if (kind === 'operator') this.balance(value, open);
      this.push(kind, value);
      this.advance(this.at + value.length);
      return;
    }
    string.lastIndex = this.at;
    const quoted = string.exec(this.source);
    if (!quoted) throw this.fail(`unexpected char ${JSON.stringify(this.source[this.at])}`);
    this.push('string', unescaped(quoted[1] ?? quoted[2] ?? ''));
    this.advance(string.lastIndex);
  }

  private balance(value: string, open: string[]): void {
    const closes = closing[value];
    if (closes !== undefined) open.push(closes);
    else if (')]}'.includes(value) && open.pop() !== value) throw this.fail(`unexpected '${value}'`);
  }

  private push(kind: TokenKind, value: string): void {
    if (kind === 'text' && value === '') return;
    for (; this.counted < this.at; this.counted++) if (this.source[this.counted] === '\n') this.line++;
    this.tokens.push({ kind, value, line: this.line });
  }

  private advance(to: number): void {
    this.lineStart = this.source[to - 1] === '\n';
    this.at = to;
  }

  private fail(problem: string): TemplateError {
    this.push('end', '');
    return new TemplateError(`${problem} (line ${this.line})`);
  }
}

function match(pattern: RegExp, source: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0];
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
  "'": "'",
  '"': '"',
  '\\': '\\',
  '\n': '',
};

/** The escapes of Python's strings; what is none of them stays as it is. */
function unescaped(quoted: string): string {
  return quoted.replace(
    /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|(.))/gs,
    (whole, byte?: string, short?: string, long?: string, octal?: string, letter?: string) => {
      const hex = byte ?? short ?? long;
      if (hex !== undefined) return codePoint(Number.parseInt(hex, 16));
      if (octal !== undefined) return codePoint(Number.parseInt(octal, 8));
      return escapes[letter ?? ''] ?? whole;
    },
  );
}

function codePoint(code: number): string {
  if (code > 0x10ffff) throw new TemplateError(`\\U${code.toString(16)} is no character`);
  return String.fromCodePoint(code);
}
