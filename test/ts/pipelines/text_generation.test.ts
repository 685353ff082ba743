import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Prompt, pipeline, type TextGenerationPipeline } from '../../../ts';
import { failure, rejection } from '../failure';
import { goldensFolder } from '../goldens_folder';

interface PipelineCase {
  readonly input: Prompt;
  readonly options: Record<string, unknown>;
  readonly output: unknown;
}

const chatFolder = join(__dirname, '..', '..', 'fixtures', 'models', 'llama-chat');
const { cases } = JSON.parse(readFileSync(join(chatFolder, 'pipeline.golden.json'), 'utf8')) as {
  cases: PipelineCase[];
};

let generator: TextGenerationPipeline;
beforeAll(async () => {
  generator = await pipeline('text-generation', chatFolder);
});
afterAll(() => generator?.dispose());

const greedy = { do_sample: false, max_new_tokens: 20 } as const;

it.each(cases)("gives what Python's pipeline gives for $input", async ({ input, options, output }) => {
  expect(await generator(input as string, options)).toEqual(output);
});

it('gives a list whose first one is there, for the type checker too', async () => {
  const [{ generated_text }] = await generator('The capital', { ...greedy, max_new_tokens: 2 });
  expect(generated_text.startsWith('The capital')).toBe(true);
});

describe('lists', () => {
  const inputs = cases.map((one) => one.input);
  const outputs = cases.map((one) => one.output);

  it('give one result a prompt, texts and conversations mixed, whatever the batch size', async () => {
    expect(await generator(inputs, greedy)).toEqual(outputs);
    expect(await generator(inputs, { ...greedy, batch_size: 2 })).toEqual(outputs);
    expect(await generator([], greedy)).toEqual([]);
  });

  it('draw the same with a seed for each prompt, whatever the batch size', async () => {
    const options = { do_sample: true, temperature: 2, max_new_tokens: 8, seed: inputs.map((_, index) => index) };
    const whole = await generator(inputs, options);
    expect(await generator(inputs, { ...options, batch_size: 2 })).toEqual(whole);
    expect(await generator(inputs[1] as string, { ...options, seed: 1 })).toEqual(whole[1]);
  });
});

it('gives the answer alone with return_full_text: false', async () => {
  for (const { input, output } of cases) {
    const [full] = output as [{ generated_text: string | { content: string }[] }];
    const [alone] = await generator(input as string, { ...greedy, return_full_text: false });
    const expected =
      typeof full.generated_text === 'string'
        ? full.generated_text.slice((input as string).length)
        : full.generated_text.at(-1)?.content;
    expect(alone?.generated_text).toBe(expected);
  }
});

it('goes on with an answer that the conversation ends with', async () => {
  const chat = [
    { role: 'user', content: 'Hi!' },
    { role: 'assistant', content: 'Zwö' },
  ];
  const [result] = await generator(chat, greedy);
  const messages = result?.generated_text as { role: string; content: string }[];
  expect(messages).toHaveLength(2);
  expect(messages[1]?.content.startsWith('Zwö')).toBe(true);
});

describe('stream', () => {
  it('gives the same text in pieces, and then says how it went', async () => {
    for (const { input } of cases) {
      const [alone] = await generator(input as string, { ...greedy, return_full_text: false });
      const stream = generator.stream(input, greedy);
      expect(stream.statistics).toBeUndefined();
      let text = '';
      for await (const piece of stream) {
        expect(piece).not.toBe('');
        text += piece;
      }
      expect(text).toBe(alone?.generated_text);
      expect(stream.finishReason).toMatch(/^(eos|length)$/);
      expect(stream.statistics?.newTokens).toBeGreaterThan(0);
    }
  });

  it('can be left early, and frees its cache', async () => {
    const before = generator.model.memoryFootprint().cache;
    for await (const _ of generator.stream('The capital of France is', greedy)) break;
    expect(generator.model.memoryFootprint().cache).toBe(before);
  });
});

it.each([
  [{ streamer: { put() {}, end() {} } }, 'UNSUPPORTED_OPTION', 'iterate over it'],
  [{ batch_size: 2 }, 'UNSUPPORTED_OPTION', "'batch_size'"],
  [null, 'INVALID_ARGUMENT', 'options'],
])('a stream and an answer of a chat refuse %j', (options, code, part) => {
  using chat = generator.chat();
  for (const call of [() => generator.stream('Hi', options as object), () => chat.send('Hi', options as object)]) {
    const error = failure(call);
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
  }
});

describe('chat', () => {
  it('answers every turn as the whole conversation read anew would, and reads only what is new', async () => {
    using chat = generator.chat({ system: 'Be brief.' });
    const read: number[] = [];
    for (const question of ['Hi!', 'Again?', 'And?']) {
      const stream = chat.send(question, greedy);
      let answer = '';
      for await (const piece of stream) answer += piece;
      const [anew] = await generator(chat.messages.slice(0, -1), { ...greedy, return_full_text: false });
      expect(answer).toBe(anew?.generated_text);
      read.push(stream.statistics?.promptTokens ?? 0);
    }
    expect(chat.messages.map((message) => message.role)).toEqual([
      'system',
      'user',
      'assistant',
      'user',
      'assistant',
      'user',
      'assistant',
    ]);
    const whole = generator.tokenizer.apply_chat_template(chat.messages.slice(0, -1), { add_generation_prompt: true });
    expect(read[2]).toBeLessThan(whole.length / 2);
  });

  it('keeps what came of an answer that was left, and goes on', async () => {
    using chat = generator.chat();
    for await (const _ of chat.send('Hi!', greedy)) break;
    expect(chat.messages).toHaveLength(2);
    for await (const _ of chat.send('Again?', greedy)) {
      /* read to the end */
    }
    expect(chat.messages).toHaveLength(4);
    chat.reset();
    expect(chat.messages).toEqual([]);
  });

  it('refuses a second answer while one is under way', async () => {
    using chat = generator.chat();
    const first = chat.send('Hi!', greedy);
    await first.next();
    expect((await rejection(chat.send('And?', greedy).next())).code).toBe('INVALID_ARGUMENT');
    await first.return();
  });
});

describe('wrong calls', () => {
  it('name the option, the task or the input', async () => {
    const option = await rejection(generator('x', { maxNewTokens: 3 } as object));
    expect([option.code, option.message]).toEqual(['UNKNOWN_OPTION', expect.stringContaining("'max_new_tokens'")]);
    expect((await rejection(generator('x', { batch_size: 0 }))).code).toBe('INVALID_ARGUMENT');
    expect((await rejection(generator(7 as unknown as string))).code).toBe('INVALID_ARGUMENT');
    expect((await rejection(generator(['x', 7] as unknown as string[]))).code).toBe('INVALID_ARGUMENT');
    const model = await rejection(pipeline('summarization', chatFolder));
    expect([model.code, model.message]).toEqual(['UNSUPPORTED_ARCHITECTURE', expect.stringContaining("'seq2seq-lm'")]);
    const other = await rejection(generator('x', { prefix: 'y' } as object));
    expect([other.code, other.message]).toEqual(['UNSUPPORTED_OPTION', expect.stringContaining('before the prompt')]);
    expect((await rejection(generator('x', null as never))).code).toBe('INVALID_ARGUMENT');
    expect((await rejection(pipeline(undefined as never, chatFolder))).code).toBe('INVALID_ARGUMENT');
    const unknown = await rejection(pipeline('text-generaton' as 'text-generation', chatFolder));
    expect(unknown.message).toContain("did you mean 'text-generation'?");
  });
});

describe('several texts of a prompt', () => {
  const drawn = { do_sample: true, temperature: 1.5, max_new_tokens: 8, return_full_text: false } as const;

  it('come as one list a prompt, whatever the size of a batch', async () => {
    const inputs = ['The capital of France is', 'One', 'Two words'];
    const options = { ...drawn, num_return_sequences: 2, seed: [1, 2, 3] };
    const texts = (await generator(inputs, options)) as { generated_text: string }[][];
    expect(texts.map((ofPrompt) => ofPrompt.length)).toEqual([2, 2, 2]);
    expect(await generator(inputs, { ...options, batch_size: 2 })).toEqual(texts);
    expect(await generator(inputs, { ...options, batch_size: 1, seed: [1, 2, 2, 3, 3, 4] })).toEqual(texts);
    expect(await generator('One', { ...drawn, seed: 3 })).toEqual([texts[1]?.[1]]);
  });

  it('are the best of the beams in their order', async () => {
    const options = { do_sample: false, num_beams: 3, max_new_tokens: 6, return_full_text: false } as const;
    const texts = await generator('The capital of France is', { ...options, num_return_sequences: 3 });
    expect(texts).toHaveLength(3);
    expect(await generator('The capital of France is', options)).toEqual([texts[0]]);
    const stream = generator.stream('The capital of France is', { do_sample: false, num_beams: 3, max_new_tokens: 6 });
    let text = '';
    for await (const piece of stream) text += piece;
    expect(text).toBe(texts[0]?.generated_text);
  });

  it('a conversation goes on after an answer that was searched with beams', async () => {
    const options = { do_sample: false, num_beams: 2, max_new_tokens: 6 } as const;
    using chat = generator.chat();
    for (const message of ['Hello!', 'And then?']) {
      let answer = '';
      for await (const piece of chat.send(message, options)) answer += piece;
      const [anew] = await generator(chat.messages.slice(0, -1), { ...options, return_full_text: false });
      expect(answer).toBe(anew?.generated_text);
    }
  });
});

const goldens = goldensFolder();
if (goldens) {
  const golden = JSON.parse(readFileSync(join(goldens, 'pipelines', 'golden.json'), 'utf8')) as {
    pipelines: { folder: string; cases: PipelineCase[] }[];
  };
  const llama = golden.pipelines.find((one) => one.folder === 'text-generation-llama');
  const possible = llama?.cases ?? [];
  it("gives what Python's pipeline gives on the reference goldens", async () => {
    expect(possible.length).toBeGreaterThan(0);
    await using reference = await pipeline('text-generation', join(goldens, 'pipelines', 'text-generation-llama'));
    for (const { input, options, output } of possible) {
      expect(await reference(input as string, options)).toEqual(output);
    }
  });
}
