import { Template } from '../../../ts/tokenization/jinja/interpreter';

/** What the templates of the tests are given: a conversation with a call of a tool, and values of all kinds. */
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
  d: { a: 1, b: [1, 2, { c: 'x' }], items: 'own' },
  l: [3, 1, 2],
  words: ['b', 'A', 'c', 'a'],
  pairs: [
    [1, ['x', 'y']],
    [2, ['z', 'w']],
  ],
  recs: [
    { n: 'a', v: 2, g: 'x' },
    { n: 'B', v: 1, g: 'y' },
    { n: 'c', v: 3, g: 'x' },
  ],
  n: null,
  t: true,
  s: 'Hello World foo',
  i: 7,
  f: 2.5,
  tree: [
    {
      v: 1,
      c: [
        { v: 2, c: [] },
        { v: 3, c: [{ v: 4, c: [] }] },
      ],
    },
  ],
};

/** The text of a template with these variables, and `more`. */
export function render(template: string, more: object = {}): string {
  return new Template(template).render({ ...variables, ...more });
}
