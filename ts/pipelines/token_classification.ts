import { OctoformerError } from '../binding/error';
import { checkChoice, checkNumber } from '../binding/options';
import { AutoModelForTokenClassification, type EncoderModel, type TokenLogitsOutputs } from '../models/auto_encoders';
import type { LoadOptions } from '../models/load_options';
import type { TokenizedText, Tokenizer } from '../tokenization';
import { splitOptions } from './default_options';
import {
  argmax,
  callNames,
  checkPipelineOptions,
  type EncoderPipelineOptions,
  labelsOf,
  longestInput,
  openEncoderPipeline,
  type PipelineParts,
  runBatches,
  softmax,
  textsOf,
} from './encoder_pipeline';
import { continuesWord, textOfTokens } from './subwords';

const strategies = ['none', 'simple', 'first', 'average', 'max'] as const;

/** A token with its label. */
export interface TokenEntity {
  readonly entity: string;
  readonly score: number;
  /** The token's place. */
  readonly index: number;
  readonly word: string;
  /** [start, end) in the text, in UTF-16 units as JavaScript counts. */
  readonly start: number;
  readonly end: number;
}

/** Neighbouring tokens or words with one label. */
export interface EntityGroup {
  readonly entity_group: string;
  readonly score: number;
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

export interface TokenClassificationOptions extends EncoderPipelineOptions {
  /**
   * `none` (default): tokens. Others join neighbours of one label; `simple` tokens, the rest words, whose label is that of their first
   * token, of the token with the highest score (`max`), or that with the highest mean (`average`).
   */
  readonly aggregation_strategy?: (typeof strategies)[number];
  /** Labels that are left out; ['O'] by default. */
  readonly ignore_labels?: readonly string[];
  /** Long texts are read in pieces that share this many tokens, instead of being cut; needs another strategy than `none`. */
  readonly stride?: number;
}

/** A token classification pipeline: the entities of a text, or of each of a list. */
export interface TokenClassificationPipeline
  extends PipelineParts<'token-classification', EncoderModel<TokenLogitsOutputs>> {
  (
    input: string,
    options: TokenClassificationOptions & { readonly aggregation_strategy: 'simple' | 'first' | 'average' | 'max' },
  ): Promise<EntityGroup[]>;
  (input: string, options?: TokenClassificationOptions): Promise<TokenEntity[]>;
  (input: readonly string[], options?: TokenClassificationOptions): Promise<(TokenEntity | EntityGroup)[][]>;
}

/** The same where `pipeline()` was given a strategy that joins tokens: groups, unless a call says otherwise. */
export interface GroupedTokenClassificationPipeline
  extends PipelineParts<'token-classification', EncoderModel<TokenLogitsOutputs>> {
  (
    input: string,
    options: TokenClassificationOptions & { readonly aggregation_strategy: 'none' },
  ): Promise<TokenEntity[]>;
  (
    input: readonly string[],
    options: TokenClassificationOptions & { readonly aggregation_strategy: 'none' },
  ): Promise<TokenEntity[][]>;
  (input: string, options?: TokenClassificationOptions): Promise<EntityGroup[]>;
  (input: readonly string[], options?: TokenClassificationOptions): Promise<EntityGroup[][]>;
}

const where = "pipeline('token-classification')";
const unsupported = {
  is_split_into_words: 'give the text, words and all',
  delimiter: 'give the text, words and all',
  offset_mapping: 'the tokenizer tells where tokens are',
  grouped_entities: "give aggregation_strategy: 'simple'",
  ignore_subwords: "give aggregation_strategy: 'first'",
};

const names = callNames(where, ['aggregation_strategy', 'ignore_labels', 'stride'], unsupported);

export function openTokenClassification(
  source: string,
  options: LoadOptions & TokenClassificationOptions,
): Promise<TokenClassificationPipeline> {
  return openEncoderPipeline<
    TokenClassificationPipeline,
    TokenLogitsOutputs,
    string | readonly string[],
    TokenClassificationOptions
  >(
    'token-classification',
    AutoModelForTokenClassification,
    source,
    splitOptions<TokenClassificationOptions>(options, names),
    (model, tokenizer) => async (input, given) => {
      checkPipelineOptions(names, given);
      const strategy = checkChoice(where, 'aggregation_strategy', given.aggregation_strategy ?? 'none', strategies);
      const ignored = given.ignore_labels ?? ['O'];
      const texts = textsOf(where, input);
      const windows = windowsOf(tokenizer, texts, longestInput(model, tokenizer), strategy, given.stride);
      const encoded = windows.map((window) => window.encoded);
      const found = await runBatches(model, tokenizer, encoded, given, ({ logits }, place, index) => {
        const { data = new Float32Array(), dims: [, count = 0] = [] } = logits[place] ?? {};
        const { text, encoded } = windows[index] as Window;
        const tokens = scoredTokens(tokenizer, texts[text] ?? '', encoded, (token) =>
          softmax(data.subarray(token * count, (token + 1) * count)),
        );
        return entitiesOf(tokenizer, tokens, labelsOf(model, count), strategy).filter((entity) =>
          'entity' in entity ? !ignored.includes(entity.entity) : !ignored.includes(entity.entity_group),
        );
      });
      const results = texts.map((_, index) => {
        const ofText = found.filter((__, window) => windows[window]?.text === index);
        return ofText.length > 1 ? withoutOverlaps(ofText.flat()) : (ofText[0] ?? []);
      });
      return Array.isArray(input) ? results : results[0];
    },
  );
}

/** A text, or a piece of a long one. */
interface Window {
  /** The place of the text among all. */
  readonly text: number;
  readonly encoded: TokenizedText;
}

/** @throws OctoformerError INVALID_ARGUMENT for a stride that leaves no room, or without a strategy that joins tokens */
function windowsOf(
  tokenizer: Tokenizer,
  texts: readonly string[],
  max_length: number,
  strategy: (typeof strategies)[number],
  stride: number | undefined,
): Window[] {
  if (stride === undefined) {
    const encoded = tokenizer.encode_batch(texts, { truncation: true, max_length });
    return encoded.map((one, text) => ({ text, encoded: one }));
  }
  checkNumber(where, 'stride', stride, { least: 0, integer: true });
  if (strategy === 'none') {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `option 'stride' of ${where} needs an aggregation_strategy other than 'none', such as 'simple'`,
    );
  }
  return texts.flatMap((one, text) => {
    const options = { truncation: true, max_length, stride, return_overflowing_tokens: true } as const;
    const encoded = tokenizer.encode(one, options);
    return [encoded, ...(encoded.overflowing ?? [])].map((window) => ({ text, encoded: window }));
  });
}

/** Of entities that several pieces have found in the same place the longest, and of equally long ones the surest. */
function withoutOverlaps(entities: readonly (TokenEntity | EntityGroup)[]): (TokenEntity | EntityGroup)[] {
  const kept: (TokenEntity | EntityGroup)[] = [];
  for (const entity of [...entities].sort((left, right) => left.start - right.start)) {
    const last = kept.at(-1);
    if (!last || entity.start >= last.end) {
      kept.push(entity);
      continue;
    }
    const longer = entity.end - entity.start - (last.end - last.start);
    if (longer > 0 || (longer === 0 && entity.score > last.score)) kept[kept.length - 1] = entity;
  }
  return kept;
}

interface ScoredToken {
  readonly word: string;
  readonly scores: readonly number[];
  readonly start: number;
  readonly end: number;
  readonly index: number;
  readonly continues: boolean;
}

/** All tokens but special ones, with their probabilities. An unknown token's word is its text. */
function scoredTokens(
  tokenizer: Tokenizer,
  text: string,
  encoded: TokenizedText,
  scores: (token: number) => readonly number[],
): ScoredToken[] {
  const { input_ids, tokens, offsets, special_tokens_mask } = encoded;
  return tokens.flatMap((token, index) => {
    if (special_tokens_mask[index]) return [];
    const [start, end] = offsets[index] ?? [0, 0];
    const word = input_ids[index] === tokenizer.unk_token_id ? text.slice(start, end) : token;
    return [
      { word, scores: scores(index), start, end, index, continues: continuesWord(tokenizer, encoded, text, index) },
    ];
  });
}

type Labelled = Omit<TokenEntity, 'index'>;

function entitiesOf(
  tokenizer: Tokenizer,
  tokens: readonly ScoredToken[],
  labels: readonly string[],
  strategy: (typeof strategies)[number],
): (TokenEntity | EntityGroup)[] {
  if (strategy === 'none' || strategy === 'simple') {
    const entities = tokens.map(({ word, scores, start, end, index }) => ({
      ...labelled(scores, labels),
      index,
      word,
      start,
      end,
    }));
    return strategy === 'none' ? entities : groups(tokenizer, entities);
  }
  const words: ScoredToken[][] = [];
  for (const token of tokens) {
    const word = words.at(-1);
    if (word && token.continues) word.push(token);
    else words.push([token]);
  }
  return groups(
    tokenizer,
    words.map((word) => wordEntity(tokenizer, word, labels, strategy)),
  );
}

function labelled(scores: readonly number[], labels: readonly string[]): { entity: string; score: number } {
  const label = argmax(scores);
  return { entity: labels[label] ?? '', score: scores[label] ?? 0 };
}

function wordEntity(
  tokenizer: Tokenizer,
  tokens: readonly ScoredToken[],
  labels: readonly string[],
  strategy: 'first' | 'average' | 'max',
): Labelled {
  const all = tokens.map(({ scores }) => scores);
  const highest = all.map((scores) => scores[argmax(scores)] ?? 0);
  const chosen = {
    first: () => all[0] ?? [],
    max: () => all[argmax(highest)] ?? [],
    average: () => labels.map((_, label) => mean(all.map((scores) => scores[label] ?? 0))),
  }[strategy]();
  return {
    ...labelled(chosen, labels),
    word: textOfTokens(
      tokenizer,
      tokens.map(({ word }) => word),
    ),
    start: tokens[0]?.start ?? 0,
    end: tokens.at(-1)?.end ?? 0,
  };
}

/** Joins neighbours of one kind; `B-` begins anew. */
function groups(tokenizer: Tokenizer, entities: readonly Labelled[]): EntityGroup[] {
  const lists: Labelled[][] = [];
  for (const entity of entities) {
    const list = lists.at(-1);
    const { kind, begins } = kindOf(entity.entity);
    if (list && !begins && kindOf(list.at(-1)?.entity ?? '').kind === kind) list.push(entity);
    else lists.push([entity]);
  }
  return lists.map((list) => ({
    entity_group: (list[0]?.entity ?? '').replace(/^[^-]*-/, ''),
    score: mean(list.map(({ score }) => score)),
    word: textOfTokens(
      tokenizer,
      list.map(({ word }) => word),
    ),
    start: list[0]?.start ?? 0,
    end: list.at(-1)?.end ?? 0,
  }));
}

function kindOf(label: string): { readonly kind: string; readonly begins: boolean } {
  const marked = label.startsWith('B-') || label.startsWith('I-');
  return { kind: marked ? label.slice(2) : label, begins: label.startsWith('B-') };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
