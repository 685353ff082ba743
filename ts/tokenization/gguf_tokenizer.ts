import type { NativeTokenTables } from '../binding/native';
import { invalidTokenizer, JsonPart } from './json_part';
import { MergeTable } from './merge_table';
import { type EndToken, templateOfEnds } from './post_processors';
import { TokenTable } from './token_table';
import { Tokenizer, type TokenizerFiles } from './tokenizer';
import { gpt2Words, WORD_RULES } from './word_rules';

/** Kinds of tokens in `tokenizer.ggml.token_type` (llama.cpp, `llama_token_type`). */
const TOKEN_UNKNOWN = 2;
const TOKEN_CONTROL = 3;
const TOKEN_USER_DEFINED = 4;

/** What the keys `tokenizer.ggml.*` say. */
class GgufVocabulary {
  /** How many tokens there are. */
  readonly size: number;
  readonly types: readonly unknown[];
  /** The tokens' table, and the ids of the merges, where the addon could read them. */
  readonly tables: { readonly vocab: TokenTable; readonly merges: MergeTable } | undefined;
  private listed: readonly string[] | undefined;

  constructor(
    private readonly metadata: Readonly<Record<string, unknown>>,
    native: NativeTokenTables | null,
  ) {
    this.tables = native
      ? { vocab: TokenTable.ofNative(native), merges: new MergeTable(native.merges, native.mergeSlots) }
      : undefined;
    this.size = this.tables?.vocab.idLimit ?? this.tokens.length;
    if (this.size === 0) throw this.part('tokens').fail('the list of tokens is empty');
    const types = this.part('token_type');
    this.types = types.isMissing ? [] : items(types);
    if (this.types.length > 0 && this.types.length !== this.size)
      throw types.fail(`${this.types.length} types for ${this.size} tokens`);
  }

  get tokens(): readonly string[] {
    this.listed ??= this.strings('tokens');
    return this.listed;
  }

  tokenOf(id: number): string {
    return (this.tables?.vocab.token(id) ?? this.tokens[id]) as string;
  }

  part(key: string): JsonPart {
    const value = this.metadata[`tokenizer.ggml.${key}`];
    return new JsonPart(typeof value === 'bigint' ? Number(value) : value, `GGUF metadata tokenizer.ggml.${key}`);
  }

  strings(key: string): string[] {
    const part = this.part(key);
    return items(part).map((item, i) => {
      if (typeof item !== 'string') throw part.fail(`item ${i} is not a string`);
      return item;
    });
  }

  numbers(key: string): number[] {
    const part = this.part(key);
    const numbers = items(part).map(Number);
    if (numbers.length !== this.size) throw part.fail(`${numbers.length} values for ${this.size} tokens`);
    return numbers;
  }

  /** The id of a role such as `bos`, or null. */
  id(role: string): number | null {
    const part = this.part(`${role}_token_id`);
    if (part.isMissing) return null;
    const id = part.count();
    // Converters write an id out of range, such as 4294967295, for "none".
    return id < this.size ? id : null;
  }

  token(role: string): string | null {
    const id = this.id(role);
    return id === null ? null : this.tokenOf(id);
  }

  flag(key: string, fallback: boolean): boolean {
    return this.part(key).boolean(fallback);
  }

  vocab(): Map<string, number> {
    const vocab = new Map<string, number>();
    this.tokens.forEach((token, id) => {
      vocab.set(token, id);
      if (vocab.size === id + 1) return;
      const first = this.tokens.indexOf(token);
      throw this.part('tokens').fail(`the tokens ${first} and ${id} are both ${JSON.stringify(token)}`);
    });
    return vocab;
  }

  addedTokens(): object[] {
    const added: object[] = [];
    // entries() would make a list for each of them, which is more garbage than all the rest of loading leaves.
    for (let id = 0; id < this.types.length; id++) {
      const type = Number(this.types[id]);
      if (type !== TOKEN_CONTROL && type !== TOKEN_USER_DEFINED && type !== TOKEN_UNKNOWN) continue;
      added.push({
        id,
        content: this.tokenOf(id),
        special: type !== TOKEN_USER_DEFINED,
        normalized: false,
        single_word: false,
        lstrip: false,
        rstrip: false,
      });
    }
    return added;
  }
}

/** Items of a list; GGUF's lists of numbers may come as typed arrays. */
function items(part: JsonPart): readonly unknown[] {
  if (ArrayBuffer.isView(part.value)) return Array.from(part.value as unknown as ArrayLike<unknown>);
  if (part.isMissing) throw part.fail('the key is missing', 'convert the model again with its tokenizer');
  return part.values();
}

function byteLevelBpe(vocabulary: GgufVocabulary): object {
  const pre = vocabulary.part('pre').string('default');
  const rules = Object.hasOwn(WORD_RULES, pre) ? WORD_RULES[pre] : undefined;
  if (rules === undefined)
    throw vocabulary
      .part('pre')
      .fail(
        `unknown pre-tokenizer ${JSON.stringify(pre)}`,
        `known are ${Object.keys(WORD_RULES).join(', ')}; use the model's safetensors checkpoint`,
      );
  return {
    normalizer: rules.normalizer ?? null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: rules.steps },
    post_processor: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
    decoder: gpt2Words,
    model: {
      type: 'BPE',
      vocab: vocabulary.tables?.vocab ?? vocabulary.vocab(),
      merges: vocabulary.tables?.merges ?? vocabulary.strings('merges'),
      ignore_merges: rules.ignoreMerges ?? false,
    },
  };
}

/**
 * Merges that give what SentencePiece's BPE gives: it joins the pair whose token has the highest score, so every way to make a token
 * out of two becomes a merge, in the order of the scores.
 */
function mergesFromScores(
  vocab: ReadonlyMap<string, number>,
  tokens: readonly string[],
  scores: readonly number[],
): [string, string][] {
  const merges: { pair: [string, string]; score: number; order: [number, number] }[] = [];
  tokens.forEach((token, id) => {
    for (let cut = 1; cut < token.length; cut++) {
      const pair: [string, string] = [token.slice(0, cut), token.slice(cut)];
      const order: [number | undefined, number | undefined] = [vocab.get(pair[0]), vocab.get(pair[1])];
      if (order[0] !== undefined && order[1] !== undefined)
        merges.push({ pair, score: scores[id] as number, order: [order[0], order[1]] });
    }
  });
  // Higher scores first; among equals the longer left part, then the longer right part, then the smaller ids.
  merges.sort(
    (a, b) =>
      b.score - a.score ||
      [...b.pair[0]].length - [...a.pair[0]].length ||
      [...b.pair[1]].length - [...a.pair[1]].length ||
      a.order[0] - b.order[0] ||
      a.order[1] - b.order[1],
  );
  return merges.map(({ pair }) => pair);
}

function sentencePieceBpe(vocabulary: GgufVocabulary): object {
  const vocab = vocabulary.vocab();
  const addPrefix = vocabulary.flag('add_space_prefix', true);
  const spaces = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  return {
    normalizer: { type: 'Sequence', normalizers: addPrefix ? [{ type: 'Prepend', prepend: '▁' }, spaces] : [spaces] },
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(addPrefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: 'BPE',
      vocab,
      merges: mergesFromScores(vocab, vocabulary.tokens, vocabulary.numbers('scores')),
      unk_token: vocabulary.token('unknown'),
      fuse_unk: true,
      byte_fallback: true,
    },
  };
}

function unigram(vocabulary: GgufVocabulary): object {
  const scores = vocabulary.numbers('scores');
  const charsmap = vocabulary.part('precompiled_charsmap');
  const steps: object[] = [];
  if (!charsmap.isMissing)
    steps.push({
      type: 'Precompiled',
      precompiled_charsmap: Buffer.from(items(charsmap).map(Number)).toString('base64'),
    });
  if (vocabulary.flag('remove_extra_whitespaces', true))
    steps.push(
      { type: 'Strip', strip_left: true, strip_right: true },
      { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' },
    );
  const metaspace = {
    type: 'Metaspace',
    replacement: '▁',
    prepend_scheme: vocabulary.flag('add_space_prefix', true) ? 'always' : 'never',
    split: true,
  };
  return {
    normalizer: { type: 'Sequence', normalizers: steps },
    pre_tokenizer: metaspace,
    decoder: metaspace,
    model: {
      type: 'Unigram',
      unk_id: vocabulary.id('unknown'),
      vocab: vocabulary.tokens.map((token, id) => [token, scores[id]]),
      byte_fallback: false,
    },
  };
}

/** BERT's tokens come with `▁` before a word's first piece and without `##` before the others (as llama.cpp's converter writes them). */
function wordPiece(vocabulary: GgufVocabulary): object {
  const vocab = new Map<string, number>();
  vocabulary.tokens.forEach((token, id) => {
    const isOrdinary = Number(vocabulary.types[id] ?? 1) === 1;
    const piece = token.startsWith('▁') ? token.slice(1) : isOrdinary && !/^\[.*\]$/.test(token) ? `##${token}` : token;
    vocab.set(piece, id);
  });
  return {
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      vocab,
      unk_token: vocabulary.token('unknown') ?? '[UNK]',
      continuing_subword_prefix: '##',
    },
  };
}

const MODELS: Readonly<Record<string, (vocabulary: GgufVocabulary) => object>> = {
  gpt2: byteLevelBpe,
  llama: sentencePieceBpe,
  t5: unigram,
  bert: wordPiece,
};

/**
 * Builds the tokenizer that a GGUF file describes in its metadata. Throws what `tokenizerFilesFromGguf` does.
 * @param native what the addon read of it already, if it could
 */
export function tokenizerFromGguf(
  metadata: Readonly<Record<string, unknown>>,
  native: NativeTokenTables | null = null,
): Tokenizer {
  return Tokenizer.fromFiles(tokenizerFilesFromGguf(metadata, native));
}

/**
 * tokenizer.json and tokenizer_config.json for what a GGUF file says of its tokenizer (`tokenizer.ggml.*`, `tokenizer.chat_template`). Throws
 * INVALID_TOKENIZER for a kind of tokenizer, or a `tokenizer.ggml.pre`, that is not known: cutting words by the wrong rules would
 * silently give wrong ids.
 */
export function tokenizerFilesFromGguf(
  metadata: Readonly<Record<string, unknown>>,
  native: NativeTokenTables | null = null,
): Required<Pick<TokenizerFiles, 'tokenizerJson' | 'tokenizerConfig'>> {
  const kind = metadata['tokenizer.ggml.model'];
  const build = typeof kind === 'string' && Object.hasOwn(MODELS, kind) ? MODELS[kind] : undefined;
  if (build === undefined)
    throw invalidTokenizer(
      'GGUF metadata tokenizer.ggml.model',
      kind === undefined ? 'the file holds no tokenizer' : `unknown kind of tokenizer ${JSON.stringify(String(kind))}`,
      `known are ${Object.keys(MODELS).join(', ')}; use the model's safetensors checkpoint`,
    );
  const vocabulary = new GgufVocabulary(metadata, native);
  const addsBos = vocabulary.flag('add_bos_token', kind === 'llama');
  const addsEos = vocabulary.flag('add_eos_token', kind === 't5');
  const isBert = kind === 'bert';
  const config: Record<string, unknown> = {
    bos_token: vocabulary.token('bos'),
    eos_token: vocabulary.token('eos'),
    unk_token: vocabulary.token('unknown'),
    pad_token: vocabulary.token('padding'),
    sep_token: vocabulary.token('seperator') ?? vocabulary.token('separator'),
    cls_token: vocabulary.token('cls'),
    mask_token: vocabulary.token('mask'),
    chat_template: metadata['tokenizer.chat_template'],
  };
  const tokenizerJson: Record<string, unknown> = { added_tokens: vocabulary.addedTokens(), ...build(vocabulary) };
  if (isBert) {
    const cls = vocabulary.id('cls') ?? vocabulary.id('bos');
    const sep = vocabulary.id('seperator') ?? vocabulary.id('separator') ?? vocabulary.id('eos');
    if (cls !== null && sep !== null)
      tokenizerJson.post_processor = { type: 'BertProcessing', cls: ['', cls], sep: ['', sep] };
  } else if (addsBos || addsEos) {
    const endOf = (asked: boolean, name: string): EndToken | null => {
      const token = vocabulary.token(name);
      const id = vocabulary.id(name);
      return asked && token !== null && id !== null ? { token, id } : null;
    };
    const ends = templateOfEnds(endOf(addsBos, 'bos'), endOf(addsEos, 'eos'));
    const { post_processor: before } = tokenizerJson;
    tokenizerJson.post_processor = before ? { type: 'Sequence', processors: [before, ends] } : ends;
  }
  return { tokenizerJson, tokenizerConfig: config };
}
