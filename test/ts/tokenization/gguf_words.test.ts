import { tokenizerFromGguf } from '../../../ts/tokenization/gguf_tokenizer';

/** A vocabulary whose merges would join all of `12345`, if words let them. */
function tokensOf(pre: string, text: string): string[] {
  const tokenizer = tokenizerFromGguf({
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': pre,
    'tokenizer.ggml.tokens': ['1', '2', '3', '4', '5', 'a', '!', '12', '123', '45', '12345', 'a!', '!a'],
    'tokenizer.ggml.merges': ['1 2', '12 3', '4 5', '123 45', '! a', 'a !'],
  });
  return tokenizer.encode(text).tokens;
}

it.each([
  ['gpt-2', ['12345', 'a', '!', 'a']],
  ['smollm', ['1', '2', '3', '4', '5', 'a', '!', 'a']],
  ['refact', ['1', '2', '3', '4', '5', 'a', '!', 'a']],
  ['starcoder', ['1', '2', '3', '4', '5', 'a', '!', 'a']],
  ['command-r', ['1', '2', '3', '4', '5', 'a', '!', 'a']],
  ['phi-2', ['12345', 'a', '!', 'a']],
  ['mpt', ['12345', 'a', '!', 'a']],
  ['olmo', ['12345', 'a', '!', 'a']],
  ['falcon', ['123', '45', 'a', '!', 'a']],
  ['bloom', ['12345', 'a', '!', 'a']],
  ['glm4', ['123', '45', 'a', '!a']],
  ['chatglm-bpe', ['123', '45', 'a', '!a']],
  ['dbrx', ['123', '45', 'a', '!a']],
  ['llama-bpe', ['123', '45', 'a', '!a']],
])('%s cuts numbers and signs as its models do', (pre, expected) => {
  expect(tokensOf(pre, '12345a!a')).toEqual(expected);
});

it.each([
  ['command-r', ['Ã©']],
  ['olmo', ['Ã©']],
  ['mpt', ['Ã©']],
  ['starcoder', ['e', 'Ì', 'ģ']],
  ['falcon', ['e', 'Ì', 'ģ']],
])('%s: letters and their accents are composed where the models do it', (pre, expected) => {
  const tokenizer = tokenizerFromGguf({
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': pre,
    'tokenizer.ggml.tokens': ['e', 'Ì', 'ģ', 'Ã', '©', 'Ã©'],
    'tokenizer.ggml.merges': ['Ã ©'],
  });
  expect(tokenizer.encode('e\u0301').tokens).toEqual(expected);
});
