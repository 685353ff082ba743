import { ChatTemplate } from '../../../ts/tokenization/template_interpreter';

/** What the templates of the tests are given: a conversation with a call of a tool. */
const variables = {
  messages: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hi, it\'s "me"\n' },
    {
      role: 'assistant',
      content: '  Hello 👍  ',
      tool_calls: [
        {
          type: 'function',
          function: { name: 'get', arguments: { city: 'Zürich', n: 2, x: 1.5, ok: true, none: null } },
        },
      ],
    },
    { role: 'tool', name: 'get', content: '{"t": 3}' },
    { role: 'user', content: [{ type: 'text', text: 'part' }, { type: 'image' }] },
  ],
  tools: [
    {
      type: 'function',
      function: {
        name: 'get',
        description: 'Gets <it>',
        parameters: {
          type: 'object',
          properties: {
            city: { type: 'string', description: 'The city' },
            n: { type: ['integer', 'null'], enum: [1, 2] },
          },
          required: ['city'],
        },
      },
    },
  ],
  documents: [
    { title: 'A', text: 'aaa' },
    { title: 'B', text: 'bbb' },
  ],
  bos_token: '<s>',
  eos_token: '</s>',
  add_generation_prompt: true,
};

/** The text of a template with these variables, and `more`. */
export function render(template: string, more: object = {}): string {
  return new ChatTemplate(template).render({ ...variables, ...more });
}
