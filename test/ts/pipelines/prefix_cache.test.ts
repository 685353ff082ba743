import { join } from 'node:path';
import { type Chat, pipeline, type TextGenerationPipeline } from '../../../ts';
import { rejection } from '../failure';

const folder = join(__dirname, '..', '..', 'fixtures', 'models', 'llama-chat');
const greedy = { do_sample: false, max_new_tokens: 6 } as const;

const withGenerator = async <T>(use: (generator: TextGenerationPipeline) => Promise<T>, options = {}): Promise<T> => {
  await using generator = await pipeline('text-generation', folder, options);
  return await use(generator);
};

/** The answer to a conversation, and how many tokens of it were computed. */
async function answer(generator: TextGenerationPipeline, chat: Chat, options = {}) {
  const stream = generator.stream(chat, { ...greedy, ...options });
  let text = '';
  for await (const piece of stream) text += piece;
  return { text, read: stream.statistics?.promptTokens };
}

const promptLength = (generator: TextGenerationPipeline, chat: Chat) =>
  generator.tokenizer.apply_chat_template(chat, { add_generation_prompt: true }).length;

const ask = (content: string): Chat => [{ role: 'user', content }];
const goOn = (chat: Chat, text: string, content: string): Chat => [
  ...chat,
  { role: 'assistant', content: text },
  { role: 'user', content },
];

it('reads only what is new of a conversation, and gives the same', async () => {
  await withGenerator(async (generator) => {
    let chat = ask('hello there');
    for (const next of ['and then?', 'why?', 'no']) {
      const plain = await answer(generator, chat, { prefixCache: false });
      expect(plain.read).toBe(promptLength(generator, chat));
      const kept = await answer(generator, chat);
      expect(kept.text).toBe(plain.text);
      // Once more: all but the last token is there.
      expect(await answer(generator, chat)).toEqual({ text: plain.text, read: 1 });
      const longer = goOn(chat, plain.text, next);
      const whole = promptLength(generator, longer);
      const { read = whole, text } = await answer(generator, longer);
      expect(read).toBeLessThanOrEqual(whole - promptLength(generator, chat) + 1);
      expect(text).toBe((await answer(generator, longer, { prefixCache: false })).text);
      chat = goOn(longer, text, next);
    }
  });
});

it.each([
  { num_beams: 3 },
  { num_beams: 2, num_return_sequences: 2 },
  { do_sample: true, num_return_sequences: 3, temperature: 2, seed: 5 },
])('calls with %j give the same as without', async (options) => {
  await withGenerator(async (generator) => {
    const chats = [ask('hello there'), ask('hello you'), [{ role: 'system', content: 'be' }, ...ask('so')]];
    const call = (prefixCache: boolean) => generator([...chats, 'a text'], { ...greedy, ...options, prefixCache });
    const plain = await call(false);
    for (let turn = 0; turn < 3; turn++) expect(await call(true)).toEqual(plain);
    expect(generator.model.memoryFootprint().cache).toBeGreaterThan(0);
  });
});

it('keeps the four conversations used last', async () => {
  await withGenerator(async (generator) => {
    const chats = ['hello', 'there', 'why', 'and', 'so'].map(ask);
    for (const chat of chats) await answer(generator, chat);
    const footprint = generator.model.memoryFootprint().cache;
    expect(footprint).toBeGreaterThan(0);
    expect((await answer(generator, chats[4] ?? [])).read).toBe(1);
    expect((await answer(generator, chats[1] ?? [])).read).toBe(1);
    expect((await answer(generator, chats[0] ?? [])).read).toBeGreaterThan(1); // which lets go of the third
    expect((await answer(generator, chats[1] ?? [])).read).toBe(1);
    expect((await answer(generator, chats[2] ?? [])).read).toBeGreaterThan(1);
    expect(generator.model.memoryFootprint().cache).toBe(footprint);
  });
});

it('keeps nothing of texts, nor where rows of a run look at one another', async () => {
  await withGenerator(async (generator) => {
    const read = async () => {
      const stream = generator.stream('hello there', greedy);
      for await (const _ of stream);
      return stream.statistics?.promptTokens;
    };
    expect(await read()).toBeGreaterThan(1);
    expect(await read()).toBeGreaterThan(1);
  });
  const quantization = { scheme: 'llm.int8', outliers: 'column' } as const;
  await withGenerator(
    async (generator) => {
      const chat = ask('hello there');
      const { read } = await answer(generator, chat);
      expect(read).toBe(promptLength(generator, chat));
      expect(await answer(generator, chat)).toMatchObject({ read });
    },
    { quantization },
  );
});

it('frees what a failed call took, and takes no other option', async () => {
  await withGenerator(async (generator) => {
    const chat = ask('hello there');
    expect((await rejection(generator(chat, { ...greedy, signal: AbortSignal.abort() }))).code).toBe('ABORTED');
    expect((await rejection(answer(generator, chat, { max_new_tokens: -1 }))).code).toBe('INVALID_ARGUMENT');
    expect(generator.model.memoryFootprint().cache).toBe(0);
    const wrong = { prefixCache: 'yes' } as unknown as { prefixCache: boolean };
    expect((await rejection(generator(chat, wrong))).message).toContain('prefixCache');
  });
});

it('ends with the model, also in the midst of a stream', async () => {
  const generator = await pipeline('text-generation', folder);
  const stream = generator.stream(ask('hello there'), { ...greedy, max_new_tokens: 50 });
  await stream.next();
  await generator.dispose();
  expect((await rejection(stream.next())).code).toBe('DISPOSED');
});
