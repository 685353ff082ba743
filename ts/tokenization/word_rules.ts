// How byte-level BPE tokenizers cut texts into words, as parts of a tokenizer.json.

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";

function split(pattern: string): object {
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
}

function words(digits: string): string {
  return `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
}

export const gpt2Words = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const bytesOnly = { ...gpt2Words, use_regex: false };

export interface WordRules {
  readonly steps: readonly object[];
  readonly normalizer?: object;
  /** A word that is a token as a whole is not built by merges. */
  readonly ignoreMerges?: boolean;
}

const composed = { type: 'NFC' };

export const qwen2Words = { steps: [split(words('\\p{N}')), bytesOnly], normalizer: composed };

const threeDigits: WordRules = { steps: [split(words('\\p{N}{1,3}')), bytesOnly] };

const neoxWords: WordRules = { steps: [gpt2Words], normalizer: composed };

const eachDigit: WordRules = { steps: [{ type: 'Digits', individual_digits: true }, gpt2Words] };

/** By the names that `tokenizer.ggml.pre` has for them; patterns as in the models' own tokenizer.json. */
export const WORD_RULES: Readonly<Record<string, WordRules>> = {
  default: { steps: [gpt2Words] },
  'gpt-2': { steps: [gpt2Words] },
  smollm: eachDigit,
  refact: eachDigit, // Granite's
  starcoder: eachDigit,
  'command-r': { ...eachDigit, normalizer: composed },
  'phi-2': { steps: [gpt2Words] },
  mpt: neoxWords, // GPT-NeoX's and Pythia's, too
  olmo: neoxWords,
  falcon: {
    steps: [
      { type: 'Punctuation', behavior: 'Contiguous' },
      gpt2Words,
      { type: 'Digits', individual_digits: false },
      split('[0-9][0-9][0-9]'),
    ],
  },
  bloom: { steps: [split(' ?[^(\\s|[.,!?…。，、।۔،])]+'), bytesOnly] },
  dbrx: threeDigits, // OLMo 2's and 3's
  glm4: threeDigits,
  'chatglm-bpe': threeDigits, // GLM-4's in older files
  'llama-bpe': { ...threeDigits, ignoreMerges: true },
  qwen2: qwen2Words,
};
