import { OctoformerError } from '../binding/error';
import { describeValue } from '../binding/options';
import type { Tokenizer } from '../tokenization';

export interface Languages {
  /** The language of the text, as the model names it: `en_XX` (mBART), `eng_Latn` (NLLB), `en` (M2M100, T5). */
  readonly src_lang?: string | undefined;
  /** The language to translate into. */
  readonly tgt_lang?: string | undefined;
}

/** What an encoder reads, and the token that the answer begins with where it must be a certain one. */
export interface EncodedText {
  readonly input_ids: readonly number[];
  readonly forced_bos_token_id?: number;
}

/** Where a tokenizer puts the language of a text: before it, the end token behind; or behind the end token. */
function languagePlace({ init_kwargs }: Tokenizer): 'before' | 'behind' | undefined {
  const { tokenizer_class, legacy_behaviour } = init_kwargs;
  switch (typeof tokenizer_class === 'string' ? tokenizer_class.replace(/Fast$/, '') : '') {
    case 'MBartTokenizer':
      return 'behind';
    case 'NllbTokenizer':
      return legacy_behaviour === true ? 'behind' : 'before';
    case 'MBart50Tokenizer':
    case 'M2M100Tokenizer':
      return 'before';
    default:
      return undefined;
  }
}

/** Whether texts go into the model with a token for their language. */
export function hasLanguages(tokenizer: Tokenizer): boolean {
  return languagePlace(tokenizer) !== undefined;
}

/**
 * A text's ids with the token of its language, and the token that the translation begins with, as the tokenizers of mBART, mBART-50,
 * NLLB and M2M100 make them.
 * @throws OctoformerError INVALID_ARGUMENT without both languages, or for one that the tokenizer doesn't know
 */
export function translationIds(
  where: string,
  tokenizer: Tokenizer,
  text: string,
  { src_lang, tgt_lang }: Languages,
  max_length: number,
): EncodedText {
  const source = languageId(where, tokenizer, 'src_lang', src_lang);
  const forced_bos_token_id = languageId(where, tokenizer, 'tgt_lang', tgt_lang);
  const end = tokenizer.eos_token_id;
  if (end === null) throw new OctoformerError('INVALID_TOKENIZER', `${where}: the tokenizer has no end token`);
  const { input_ids } = tokenizer.encode(text, { add_special_tokens: false });
  const room = Math.min(input_ids.length, Math.max(0, max_length - 2));
  const ids =
    tokenizer.truncation_side === 'left' ? input_ids.slice(input_ids.length - room) : input_ids.slice(0, room);
  return {
    input_ids: languagePlace(tokenizer) === 'before' ? [source, ...ids, end] : [...ids, end, source],
    forced_bos_token_id,
  };
}

function languageId(where: string, tokenizer: Tokenizer, option: keyof Languages, value: unknown): number {
  if (typeof value !== 'string' || value === '') {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${where}: this model translates between several languages; option '${option}' must name one, not ${describeValue(value)}`,
    );
  }
  const vocabulary = tokenizer.get_vocab();
  // M2M100 writes its languages as __en__.
  const token = [value, `__${value}__`].find((name) => Object.hasOwn(vocabulary, name));
  const id = token === undefined ? undefined : vocabulary[token];
  if (id !== undefined) return id;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `option '${option}' of ${where}: the tokenizer has no language '${value}'; give its code as the model writes it, such as en_XX, eng_Latn or en`,
  );
}
