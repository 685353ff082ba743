import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { OctoformerError } from '../../../ts/binding/error';
import type { ChatMessage } from '../../../ts/tokenization';
import { ChatTemplates } from '../../../ts/tokenization/chat_template';
import { JsonPart } from '../../../ts/tokenization/json_part';
import { goldensFolder } from '../goldens_folder';
import { readJson } from './golden_checks';

interface Golden {
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

const file = join(goldensFolder() ?? '', 'chat_templates', 'golden.json');
const golden = goldensFolder() !== null && existsSync(file) ? (readJson(file) as Golden) : null;

(golden === null ? describe.skip : describe)('reference templates', () => {
  test.each(Object.keys(golden?.templates ?? { none: '' }))('%s', (name) => {
    const { template, bos_token, eos_token } = (golden as Golden).templates[name] as Golden['templates'][string];
    const templates = new ChatTemplates(template, new JsonPart(undefined, 'chat_template'));
    for (const item of (golden as Golden).cases.filter((candidate) => candidate.template === name)) {
      const { messages, variables } = (golden as Golden).conversations[
        item.conversation
      ] as Golden['conversations'][string];
      const { add_generation_prompt, continue_final_message } = item;
      let outcome: string;
      try {
        outcome = templates.render(
          messages,
          { ...variables, add_generation_prompt, continue_final_message },
          { bos_token, eos_token },
        );
      } catch (error) {
        outcome = OctoformerError.is(error) ? `${error.code} ${error.message}` : String(error);
      }
      if (item.error === undefined)
        expect({ case: item.conversation, add_generation_prompt, outcome }).toEqual({
          case: item.conversation,
          add_generation_prompt,
          outcome: item.text,
        });
      else {
        expect(outcome).toMatch(/^INVALID_ARGUMENT /);
        const raised = /^TemplateError: (.*)/.exec(item.error);
        if (raised !== null) expect(outcome).toContain(raised[1]);
      }
    }
  });
});
