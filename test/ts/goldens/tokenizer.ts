import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OctoformerError } from '../../../ts/binding/error';
import { type TokenizedText, Tokenizer, TokenStreamDecoder } from '../../../ts/tokenization';
import { type Comparison, identical } from './comparison';

interface Expected {
  text: string;
  pair?: string | null;
  ids: number[];
  tokens: string[];
  offsets: [number, number][];
  type_ids: number[];
  special: number[];
}

interface GoldenText extends Expected {
  no_special: number[];
  decoded: string;
  decoded_skip: string;
  decoded_clean: string;
}

/** What Python's tokenizer gives, as golden.json beside tokenizer.json has it. */
export interface GoldenTokenizer {
  vocab_size: number;
  texts: GoldenText[];
  pairs?: Expected[];
  truncation?: (Expected & { strategy: 'longest_first'; side: 'left' | 'right'; max_length: number; error?: string })[];
  overflow?: { text: string; max_length: number; stride: number; windows: number[][] }[];
  padding?: { texts: string[]; side: 'left' | 'right'; options: object; ids: number[][]; attention_mask: number[][] }[];
  prefix_decodes: { ids: number[]; decoded: string }[];
}

export function readJson(...path: string[]): unknown {
  return JSON.parse(readFileSync(join(...path), 'utf8'));
}

export function readTokenizer(folder: string): Tokenizer {
  const special = 'special_tokens_map.json';
  return Tokenizer.fromFiles({
    tokenizerJson: readJson(folder, 'tokenizer.json'),
    tokenizerConfig: readJson(folder, 'tokenizer_config.json'),
    ...(existsSync(join(folder, special)) ? { specialTokensMap: readJson(folder, special) } : {}),
  });
}

function shape(encoded: TokenizedText): Omit<Expected, 'text'> {
  return {
    ids: encoded.input_ids,
    tokens: encoded.tokens,
    offsets: encoded.offsets,
    type_ids: encoded.token_type_ids,
    special: encoded.special_tokens_mask,
  };
}

function expected({ ids, tokens, offsets, type_ids, special }: Expected): Omit<Expected, 'text'> {
  return { ids, tokens, offsets, type_ids, special };
}

/** Everything that a golden file says about a tokenizer, exactly. */
export function compareTokenizer(tokenizer: Tokenizer, golden: GoldenTokenizer): Comparison[] {
  return [
    identical('vocab_size', tokenizer.vocab_size, golden.vocab_size),
    ...golden.texts.flatMap((item) => compareText(tokenizer, item)),
    ...(golden.pairs ?? []).map((item) => {
      const encoded = tokenizer.encode(item.text, { text_pair: item.pair, offsets: 'code_point' });
      return identical(`the pair ${JSON.stringify([item.text, item.pair])}`, shape(encoded), expected(item));
    }),
    ...(golden.truncation ?? []).map((item) => compareTruncation(tokenizer, item)),
    ...(golden.overflow ?? []).map(({ text, max_length, stride, windows }) => {
      const encoded = tokenizer.encode(text, { truncation: true, max_length, stride, return_overflowing_tokens: true });
      const found = [encoded, ...(encoded.overflowing ?? [])].map(({ input_ids }) => input_ids);
      return identical(`windows of ${max_length} with stride ${stride}`, found, windows);
    }),
    ...(golden.padding ?? []).map(({ texts, side, options, ids, attention_mask }) => {
      const encoded = tokenizer.encode_batch(texts, { ...options, padding_side: side });
      const found = encoded.map((item) => [item.input_ids, item.attention_mask]);
      const wanted = ids.map((row, index) => [row, attention_mask[index]]);
      return identical(`padding ${side} ${JSON.stringify(options)}`, found, wanted);
    }),
    ...golden.prefix_decodes.flatMap(({ ids, decoded }) => [
      identical(`decoding ${ids.join(' ')}`, tokenizer.decode(ids), decoded),
      ...compareStream(tokenizer, ids),
    ]),
  ];
}

function compareText(tokenizer: Tokenizer, item: GoldenText): Comparison[] {
  const name = `the text ${JSON.stringify(item.text).slice(0, 60)}`;
  const skip_special_tokens = true;
  const found = {
    no_special: tokenizer.encode(item.text, { add_special_tokens: false }).input_ids,
    decoded: tokenizer.decode(item.ids),
    decoded_skip: tokenizer.decode(item.ids, { skip_special_tokens }),
    decoded_clean: tokenizer.decode(item.ids, { skip_special_tokens, clean_up_tokenization_spaces: true }),
  };
  const { no_special, decoded, decoded_skip, decoded_clean } = item;
  return [
    identical(name, shape(tokenizer.encode(item.text, { offsets: 'code_point' })), expected(item)),
    identical(`${name}, decoded`, found, { no_special, decoded, decoded_skip, decoded_clean }),
    ...compareStream(tokenizer, item.ids),
  ];
}

function compareTruncation(tokenizer: Tokenizer, item: NonNullable<GoldenTokenizer['truncation']>[number]): Comparison {
  const options = {
    text_pair: item.pair,
    truncation: item.strategy,
    max_length: item.max_length,
    truncation_side: item.side,
    offsets: 'code_point',
  } as const;
  const name = `truncation ${JSON.stringify(options)}`;
  try {
    const found = shape(tokenizer.encode(item.text, options));
    return identical(name, found, item.error === undefined ? expected(item) : 'an error');
  } catch (error) {
    const found = OctoformerError.is(error) ? error.code : String(error);
    return identical(name, found, item.error === undefined ? expected(item) : 'INVALID_ARGUMENT');
  }
}

/** Pieces of a stream join to the whole, none ends in half a character. */
export function compareStream(tokenizer: Tokenizer, ids: readonly number[]): Comparison[] {
  return [false, true].flatMap((skip_special_tokens) => {
    const options = { skip_special_tokens };
    const stream = new TokenStreamDecoder(tokenizer, options);
    const pieces = [...ids.map((id) => stream.push(id)), stream.flush()];
    const broken = pieces.filter((piece) => /\p{Surrogate}/u.test(piece));
    return [
      identical(`a stream of ${ids.length} ids`, pieces.join(''), tokenizer.decode(ids, options)),
      identical(`a stream of ${ids.length} ids: half characters`, broken, []),
    ];
  });
}
