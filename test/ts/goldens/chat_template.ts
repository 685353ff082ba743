import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { OctoformerError } from '../../../ts/binding/error';
import type { ChatMessage } from '../../../ts/tokenization';
import { ChatTemplates } from '../../../ts/tokenization/chat_template';
import { JsonPart } from '../../../ts/tokenization/json_part';
import { type Comparison, identical } from './comparison';
import { readJson } from './tokenizer';

interface GoldenFile {
  templates: Record<string, { bos_token: string; eos_token: string; template: string }>;
  conversations: Record<string, { messages: ChatMessage[]; variables: Record<string, unknown> }>;
  cases: {
    template: string;
    conversation: string;
    add_generation_prompt: boolean;
    continue_final_message: boolean;
    text?: string;
    error?: string;
  }[];
}

/** Rendered templates as Jinja gives them, by the template's name; none if there is no such folder. */
export function compareChatTemplates(folder: string): ReadonlyMap<string, Comparison[]> {
  const file = join(folder, 'golden.json');
  if (!existsSync(file)) return new Map();
  const golden = readJson(file) as GoldenFile;
  return new Map(
    Object.entries(golden.templates).map(([name, { template, ...tokens }]) => {
      const templates = new ChatTemplates(template, new JsonPart(undefined, 'chat_template'));
      const cases = golden.cases.filter((one) => one.template === name);
      return [name, cases.map((one) => compareCase(templates, tokens, one, golden.conversations[one.conversation]))];
    }),
  );
}

function compareCase(
  templates: ChatTemplates,
  { bos_token, eos_token }: { bos_token: string; eos_token: string },
  one: GoldenFile['cases'][number],
  conversation: GoldenFile['conversations'][string] | undefined,
): Comparison {
  const { add_generation_prompt, continue_final_message, text, error } = one;
  const { messages = [], variables = {} } = conversation ?? {};
  const name = `${one.conversation}${add_generation_prompt ? ', add_generation_prompt' : ''}${continue_final_message ? ', continue_final_message' : ''}`;
  try {
    const found = templates.render(
      messages,
      { ...variables, add_generation_prompt, continue_final_message },
      { bos_token, eos_token },
    );
    return identical(name, found, error === undefined ? text : { error });
  } catch (thrown) {
    const [code, message] = OctoformerError.is(thrown) ? [thrown.code, thrown.message] : ['', String(thrown)];
    if (error === undefined) return identical(name, `${code} ${message}`, text);
    // What the template itself complains about is passed on.
    const raised = /^TemplateError: (.*)/.exec(error)?.[1] ?? '';
    return identical(name, [code, message.includes(raised) ? raised : message], ['INVALID_ARGUMENT', raised]);
  }
}
