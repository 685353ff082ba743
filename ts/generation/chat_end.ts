import type { Tokenizer } from '../tokenization';

/** How published chat templates end a turn; a model that was trained on one says it instead of the end of the text. */
const turnEnds = [
  '<|im_end|>', // ChatML: Qwen, SmolLM, Yi
  '<|eot_id|>', // Llama 3
  '<|eom_id|>', // Llama 3.1, before a tool runs
  '<|end|>', // Phi-3
  '<end_of_turn>', // Gemma
  '<|end_of_turn|>', // OpenChat, Granite
  '<|endoftext|>',
  '</s>', // Llama 2, Mistral, Zephyr
];

/** Ids that end an answer in a chat: the tokenizer's end of text, and the ends of a turn that its chat template uses. */
export function chatEndTokenIds(tokenizer: Tokenizer): number[] {
  const template = tokenizer.chat_template ?? '';
  const special = new Set(tokenizer.all_special_ids);
  const ids = turnEnds
    .filter((token) => template.includes(token))
    .map((token) => tokenizer.convert_tokens_to_ids(token))
    .filter((id): id is number => id !== null && special.has(id));
  return [...new Set([...ids, ...(tokenizer.eos_token_id === null ? [] : [tokenizer.eos_token_id])])];
}
