import { invalidTokenizer, JsonPart } from './json_part';
import type { TokenizerFiles } from './pipeline';
import { contentOf, partOfRole, SPECIAL_NAMES, type SpecialName, type SpecialTokens } from './special_tokens';
import { defaultRoles } from './tokenizer_class';

// What stands for a tokenizer.json in a folder that has none: classes of tokenizers make it of the folder's other files.

/** How a token is found in a text, where its file says it. */
export type TokenFlags = Readonly<Record<string, unknown>>;

/** What a class of tokenizers makes of a folder: a tokenizer.json's content, and settings that only the class knows. */
export interface ClassDescription {
  readonly tokenizerJson: Readonly<Record<string, unknown>>;
  /** Special tokens without a role. */
  readonly extraTokens?: readonly string[];
}

/** A folder's files as classes read them. Readers throw INVALID_TOKENIZER. */
export class TokenizerFolder {
  readonly config: JsonPart;
  /** special_tokens_map.json. */
  readonly specialTokens: JsonPart;
  /** Tokens by their roles. A role that a file gives to none (`null`) is missing, whatever the class has for it. */
  readonly roles: SpecialTokens;
  /** What the files say of tokens with a role beside their texts. */
  readonly flags: ReadonlyMap<string, TokenFlags>;

  constructor(
    readonly className: string,
    { tokenizerConfig, specialTokensMap }: Omit<TokenizerFiles, 'tokenizerJson'>,
  ) {
    this.config = new JsonPart(tokenizerConfig ?? {}, 'tokenizer_config.json');
    this.config.object();
    this.specialTokens = new JsonPart(specialTokensMap ?? {}, 'special_tokens_map.json');
    const defaults = defaultRoles(className);
    const roles: Partial<Record<SpecialName, string>> = {};
    const flags = new Map<string, TokenFlags>();
    for (const name of SPECIAL_NAMES) {
      const from = partOfRole(name, this.config, this.specialTokens);
      const given = from === undefined ? defaults[name] : from.isMissing ? undefined : contentOf(from);
      if (given === undefined) continue;
      roles[name] = given;
      if (from !== undefined && typeof from.value === 'object') flags.set(given, from.object());
    }
    this.roles = roles;
    this.flags = flags;
  }

  /** The token of a role that the class can't do without. */
  role(name: SpecialName): string {
    const token = this.roles[name];
    if (token === undefined)
      throw invalidTokenizer('tokenizer_config.json', `${this.className} needs a ${name}`, `set ${name}`);
    return token;
  }
}

/** Special tokens that the files name beside those with a role. */
export function extraTokensOf({ config, specialTokens }: TokenizerFolder): string[] {
  return [config, specialTokens].flatMap((part) =>
    ['additional_special_tokens', 'extra_special_tokens'].flatMap((key) => {
      const { value } = part.get(key);
      return Array.isArray(value) ? part.get(key).list().map(contentOf) : [];
    }),
  );
}

/** A template for one text and for a pair, written `<s> $A </s>`: its ids are those that the vocabulary has for the tokens. */
export function template(single: readonly string[], pair: readonly string[]): object {
  const pieces = (items: readonly string[]): object[] =>
    items.map((item) => {
      const [, text, type = '0'] = /^\$([AB])(?::(\d))?$/.exec(item) ?? [];
      return text === undefined
        ? { SpecialToken: { id: tokenOf(item), type_id: typeOf(item) } }
        : { Sequence: { id: text, type_id: Number(type) } };
    });
  const names = [...single, ...pair].filter((item) => !item.startsWith('$')).map(tokenOf);
  return {
    type: 'TemplateProcessing',
    single: pieces(single),
    pair: pieces(pair),
    special_tokens: Object.fromEntries(names.map((name) => [name, {}])),
  };
}

/** `</s>:1` gives a token of a template the type 1. */
const typed = /^(.+):1$/s;

function tokenOf(item: string): string {
  return typed.exec(item)?.[1] ?? item;
}

function typeOf(item: string): number {
  return typed.test(item) ? 1 : 0;
}
