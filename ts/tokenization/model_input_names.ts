import type { JsonPart } from './json_part';

/**
 * Tokenizers of transformers 4 whose models take no token types, though the tokenizer may tell a pair's two texts apart. (The names of
 * version 5 are those without `Fast`.)
 */
const withoutTokenTypes = new Set(
  [
    ...[
      'Bart',
      'Camembert',
      'CodeGen',
      'DistilBert',
      'GPT2',
      'GPTNeoX',
      'M2M100',
      'Marian',
      'MBart',
      'MBart50',
      'MPNet',
    ],
    ...['Nllb', 'Pegasus', 'Qwen2', 'Roberta', 'T5', 'XLMRoberta'],
  ].map((name) => `${name}Tokenizer`),
);

/** What of a tokenizer's output goes into the model: `model_input_names` of tokenizer_config.json, or what transformers has for the class. */
export function modelInputNames(config: JsonPart, className: string | undefined): readonly string[] {
  const names = config.get('model_input_names');
  if (!names.isMissing) return names.list().map((name) => name.string());
  return className !== undefined && withoutTokenTypes.has(className)
    ? ['input_ids', 'attention_mask']
    : ['input_ids', 'token_type_ids', 'attention_mask'];
}
