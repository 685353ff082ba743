import { OctoformerError } from '../binding/error';
import { invalidTokenizer, JsonPart } from './json_part';
import type { TokenizerFiles } from './pipeline';
import { SPECIAL_NAMES } from './special_tokens';
import { tokenizerClassName } from './tokenizer_class';
import { TokenizerFolder, template } from './tokenizer_folder';
import { qwen2Words } from './word_rules';

/** What a folder has that lists the tokens one by one. */
export interface VocabularyFolder extends Omit<TokenizerFiles, 'tokenizerJson'> {
  /** Text of vocab.txt: a token a line. */
  readonly wordPieces?: string;
  /** vocab.json: ids of tokens. */
  readonly vocab?: unknown;
  /** Text of merges.txt: two tokens a line that are joined, the first lines first. */
  readonly merges?: string;
}

/** What a class makes of a folder: the parts of a tokenizer.json beside `added_tokens`. */
interface VocabularyClass {
  readonly files: readonly ('vocab.txt' | 'vocab.json' | 'merges.txt')[];
  /** Takes the spaces before the mask along, where no file says otherwise. */
  readonly maskTakesSpaces?: boolean;
  parts(facts: TokenizerFolder, folder: VocabularyFolder): object;
}

/** BERT's words, and pieces of them. @param pair what goes around two texts */
function wordPieceClass(
  pair: (begin: string, end: string) => readonly string[],
  others: Pick<VocabularyClass, 'maskTakesSpaces'> = {},
): VocabularyClass {
  return {
    files: ['vocab.txt'],
    ...others,
    parts(facts, { wordPieces = '' }) {
      const { config } = facts;
      const strips = config.get('strip_accents');
      const [begin, end] = [facts.role('cls_token'), facts.role('sep_token')];
      return {
        model: {
          type: 'WordPiece',
          vocab: readVocabularyLines(wordPieces),
          unk_token: facts.role('unk_token'),
          continuing_subword_prefix: '##',
          max_input_chars_per_word: 100,
        },
        normalizer: {
          type: 'BertNormalizer',
          clean_text: true,
          handle_chinese_chars: config.get('tokenize_chinese_chars').boolean(true),
          strip_accents: strips.isMissing ? null : strips.boolean(false),
          lowercase: config.get('do_lower_case').boolean(true),
        },
        pre_tokenizer: { type: 'BertPreTokenizer' },
        post_processor: template([begin, '$A', end], pair(begin, end)),
        decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      };
    },
  };
}

const bert = wordPieceClass((begin, end) => [begin, '$A', end, '$B:1', `${end}:1`]);
const mpnet = wordPieceClass((begin, end) => [begin, '$A', end, end, '$B:1', `${end}:1`], { maskTakesSpaces: true });

/** GPT-2's bytes, joined by merges. @param others what the class has beside the model: where it says no post-processor, `add_bos_token` counts */
function bytePairClass(others: (facts: TokenizerFolder, bytes: object) => object): VocabularyClass {
  return {
    files: ['vocab.json', 'merges.txt'],
    parts(facts, { vocab, merges = '' }) {
      const add_prefix_space = facts.config.get('add_prefix_space').boolean(false);
      const bytes = { type: 'ByteLevel', add_prefix_space, trim_offsets: true, use_regex: true };
      return {
        model: { type: 'BPE', vocab: readIds(vocab), merges: readMergeLines(merges), fuse_unk: false },
        pre_tokenizer: bytes,
        decoder: bytes,
        ...others(facts, bytes),
      };
    },
  };
}

const gpt2 = bytePairClass(() => ({}));
const gptNeoX = bytePairClass(() => ({ normalizer: { type: 'NFC' } }));
const qwen2 = bytePairClass((_, bytes) => ({
  normalizer: qwen2Words.normalizer,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [...qwen2Words.steps.slice(0, -1), { ...bytes, use_regex: false }],
  },
}));
const roberta = bytePairClass((facts, bytes) => {
  const [begin, end] = [facts.role('cls_token'), facts.role('sep_token')];
  const offsets = { ...bytes, trim_offsets: facts.config.get('trim_offsets').boolean(true) };
  const ends = template([begin, '$A', end], [begin, '$A', end, end, '$B', end]);
  return { post_processor: { type: 'Sequence', processors: [offsets, ends] } };
});

/** Classes of transformers' tokenizers by their names, without `Fast`. */
const CLASSES: Readonly<Record<string, VocabularyClass>> = {
  BartTokenizer: roberta,
  BertTokenizer: bert,
  CodeGenTokenizer: gpt2,
  DistilBertTokenizer: bert,
  ElectraTokenizer: bert,
  GPT2Tokenizer: gpt2,
  GPTNeoXTokenizer: gptNeoX,
  MPNetTokenizer: mpnet,
  Qwen2Tokenizer: qwen2,
  RobertaTokenizer: roberta,
};

/**
 * What stands for a tokenizer.json in a folder that lists its tokens in vocab.txt, or in vocab.json and merges.txt, as transformers' class of
 * that name makes a tokenizer of them.
 * @throws OctoformerError UNSUPPORTED_ARCHITECTURE for a class that isn't known, NOT_FOUND for a file that it needs, INVALID_TOKENIZER
 */
export function tokenizerFilesFromVocabulary(folder: VocabularyFolder, place: string): TokenizerFiles {
  const { wordPieces, vocab, merges, ...files } = folder;
  const config = (folder.tokenizerConfig ?? {}) as Readonly<Record<string, unknown>>;
  const className = tokenizerClassName(config.tokenizer_class, folder.modelType);
  const known = className !== undefined && Object.hasOwn(CLASSES, className) ? CLASSES[className] : undefined;
  if (className === undefined || known === undefined)
    throw new OctoformerError(
      'UNSUPPORTED_ARCHITECTURE',
      `${className ?? `a tokenizer for the model type ${JSON.stringify(folder.modelType)}`} can't be made of vocab.txt or vocab.json and merges.txt here ` +
        `(known are ${Object.keys(CLASSES).join(', ')}); in Python, AutoTokenizer.from_pretrained(SOURCE).save_pretrained(FOLDER) writes the tokenizer.json that is opened`,
    );
  const there = { 'vocab.txt': wordPieces, 'vocab.json': vocab, 'merges.txt': merges };
  const missing = known.files.find((name) => there[name] === undefined);
  if (missing !== undefined)
    throw new OctoformerError(
      'NOT_FOUND',
      `${missing}, which a ${className} is made of, is not in ${place}; take it from where the model was published`,
    );
  const facts = new TokenizerFolder(className, folder);
  const mask = facts.roles.mask_token;
  const isOwnMask = known.maskTakesSpaces && mask !== undefined && !facts.flags.has(mask);
  return {
    ...files,
    tokenizerJson: known.parts(facts, folder),
    tokenizerConfig: {
      ...config,
      ...unsaidRoles(facts),
      ...(isOwnMask ? { mask_token: { content: mask, lstrip: true } } : {}),
      tokenizer_class: className,
    },
  };
}

/** Tokens that only the class gives a role: they are added where the vocabulary has none of them. */
function unsaidRoles({ config, specialTokens, roles }: TokenizerFolder): object {
  const isSaid = (name: string) => [config, specialTokens].some((part) => Object.hasOwn(part.object(), name));
  const unsaid = SPECIAL_NAMES.filter((name) => roles[name] !== undefined && !isSaid(name));
  return Object.fromEntries(unsaid.map((name) => [name, roles[name]]));
}

/** Of tokens that are there twice the later one counts, and white space at the end of a line does not, as in the tokenizers library. */
function readVocabularyLines(text: string): ReadonlyMap<string, number> {
  return new Map(linesOf(text).map((line, id) => [line.trimEnd(), id]));
}

function readIds(vocab: unknown): ReadonlyMap<string, number> {
  const part = new JsonPart(vocab, 'vocab.json');
  return new Map(Object.keys(part.object()).map((token) => [token, part.get(token).count()]));
}

function readMergeLines(text: string): readonly (readonly [string, string])[] {
  return linesOf(text).flatMap((line, index): [string, string][] => {
    if (line.startsWith('#version')) return [];
    const [left, right, ...more] = line.split(' ');
    if (left !== undefined && right !== undefined && more.length === 0) return [[left, right]];
    throw invalidTokenizer(
      'merges.txt',
      `line ${index + 1} must be two tokens with a space between, not ${JSON.stringify(line)}`,
    );
  });
}

function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/);
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}
