import { OctoformerError } from '../binding/error';
import { describeValue } from '../binding/options';
import type { ChatMessage, Tokenizer } from '../tokenization';

/** A conversation: messages with roles. */
export type Chat = readonly ChatMessage[];

/** What a text generation continues: a text, or a conversation. */
export type Prompt = string | Chat;

/** Whether a value is a conversation. */
export function isChat(value: unknown): value is Chat {
  return Array.isArray(value) && value.length > 0 && value.every(isMessage);
}

function isMessage(value: unknown): value is ChatMessage {
  return typeof value === 'object' && value !== null && typeof (value as { role?: unknown }).role === 'string';
}

/** @throws OctoformerError INVALID_ARGUMENT unless it is a text or a conversation */
export function checkPrompt(where: string, value: unknown): Prompt {
  if (typeof value === 'string' || isChat(value)) return value;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `${where} takes a text or a conversation such as [{ role: 'user', content: 'Hi!' }], or a list of either, not ${describeValue(value)}`,
  );
}

/** A conversation that ends with the assistant's words is continued; any other is answered. */
export function continuesAnswer(chat: Chat): boolean {
  return chat.at(-1)?.role === 'assistant';
}

/** The prompt's token ids; an empty text is the beginning-of-sequence token, as in Python. */
export function promptIds(tokenizer: Tokenizer, prompt: Prompt): number[] {
  if (typeof prompt !== 'string') {
    const continues = continuesAnswer(prompt);
    return tokenizer.apply_chat_template(prompt, {
      add_generation_prompt: !continues,
      continue_final_message: continues,
    });
  }
  const { input_ids } = tokenizer.encode(prompt);
  if (input_ids.length > 0) return input_ids;
  if (tokenizer.bos_token_id !== null) return [tokenizer.bos_token_id];
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    'an empty prompt needs a tokenizer with a beginning-of-sequence token; give some text',
  );
}
