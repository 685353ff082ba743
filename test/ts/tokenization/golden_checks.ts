import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OctoformerError } from '../../../ts/binding/error';
import { type TokenizedText, Tokenizer, TokenStreamDecoder } from '../../../ts/tokenization';

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

export interface Golden {
  vocab_size: number;
  texts: GoldenText[];
  pairs: Expected[];
  truncation: (Expected & { strategy: 'longest_first'; side: 'left' | 'right'; max_length: number; error?: string })[];
  overflow: { text: string; max_length: number; stride: number; windows: number[][] }[];
  padding?: { texts: string[]; side: 'left' | 'right'; options: object; ids: number[][]; attention_mask: number[][] }[];
  prefix_decodes: { ids: number[]; decoded: string }[];
}

export function readJson(...path: string[]): unknown {
  return JSON.parse(readFileSync(join(...path), 'utf8'));
}

export function readTokenizer(folder: string): Tokenizer {
  return Tokenizer.fromFiles({
    tokenizerJson: readJson(folder, 'tokenizer.json'),
    tokenizerConfig: readJson(folder, 'tokenizer_config.json'),
    specialTokensMap: readJson(folder, 'special_tokens_map.json'),
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

/** Compares a tokenizer with everything that a golden file says about it, exactly. */
export function checkGolden(tokenizer: Tokenizer, golden: Golden): void {
  const inCodePoints = { offsets: 'code_point' } as const;
  expect(tokenizer.vocab_size).toBe(golden.vocab_size);
  for (const item of golden.texts) {
    expect({ text: item.text, ...shape(tokenizer.encode(item.text, inCodePoints)) }).toEqual({
      text: item.text,
      ...expected(item),
    });
    expect(tokenizer.encode(item.text, { add_special_tokens: false }).input_ids).toEqual(item.no_special);
    const decoded = {
      decoded: tokenizer.decode(item.ids),
      decoded_skip: tokenizer.decode(item.ids, { skip_special_tokens: true }),
      decoded_clean: tokenizer.decode(item.ids, { skip_special_tokens: true, clean_up_tokenization_spaces: true }),
    };
    expect(decoded).toEqual({
      decoded: item.decoded,
      decoded_skip: item.decoded_skip,
      decoded_clean: item.decoded_clean,
    });
    checkStream(tokenizer, item.ids);
  }
  for (const item of golden.pairs) {
    const encoded = tokenizer.encode(item.text, { text_pair: item.pair, ...inCodePoints });
    expect({ text: item.text, ...shape(encoded) }).toEqual({ text: item.text, ...expected(item) });
  }
  for (const item of golden.truncation) {
    const options = {
      text_pair: item.pair,
      truncation: item.strategy,
      max_length: item.max_length,
      truncation_side: item.side,
      ...inCodePoints,
    };
    if (item.error !== undefined) {
      let caught: unknown;
      try {
        tokenizer.encode(item.text, options);
      } catch (error) {
        caught = error;
      }
      expect(OctoformerError.is(caught) && caught.code).toBe('INVALID_ARGUMENT');
    } else
      expect({ ...options, ...shape(tokenizer.encode(item.text, options)) }).toEqual({ ...options, ...expected(item) });
  }
  for (const { text, max_length, stride, windows } of golden.overflow) {
    const encoded = tokenizer.encode(text, { truncation: true, max_length, stride, return_overflowing_tokens: true });
    expect([encoded, ...(encoded.overflowing ?? [])].map(({ input_ids }) => input_ids)).toEqual(windows);
  }
  for (const { texts, side, options, ids, attention_mask } of golden.padding ?? []) {
    const encoded = tokenizer.encode_batch(texts, { ...options, padding_side: side });
    expect(encoded.map(({ input_ids }) => input_ids)).toEqual(ids);
    expect(encoded.map((item) => item.attention_mask)).toEqual(attention_mask);
  }
  for (const { ids, decoded } of golden.prefix_decodes) {
    expect(tokenizer.decode(ids)).toBe(decoded);
    checkStream(tokenizer, ids);
  }
}

/** Pieces of a stream join to the whole, none ends in half a character. */
export function checkStream(tokenizer: Tokenizer, ids: readonly number[]): void {
  for (const skip_special_tokens of [false, true]) {
    const options = { skip_special_tokens };
    const stream = new TokenStreamDecoder(tokenizer, options);
    const pieces = [...ids.map((id) => stream.push(id)), stream.flush()];
    expect(pieces.join('')).toBe(tokenizer.decode(ids, options));
    expect(pieces.filter((piece) => /\p{Surrogate}/u.test(piece))).toEqual([]);
  }
}
