import { AutoModelForSeq2SeqLM, type Pipelines, pipeline } from '../../../ts';
import { failure, rejection } from '../failure';
import { endToken, firstLanguage, tinySeq2Seq } from '../tiny_seq2seq';

const texts = ['the earth was light.', 'god', 'who was the light and the earth, god?'];
const short = { max_new_tokens: 6 };

/** Opens a pipeline on a tiny model, of which only the memory remains, and watches what goes into `generate`. */
async function open<Task extends keyof Pipelines>(task: Task, config?: object, tokenizerConfig?: object) {
  const { folder, remove } = await tinySeq2Seq(config, tokenizerConfig);
  const opened = await pipeline(task, folder).finally(remove);
  const generate = jest.spyOn((opened as unknown as Pipelines['translation']).model, 'generate');
  return { opened, generate };
}

describe.each([
  ['text2text-generation', 'generated_text'],
  ['summarization', 'summary_text'],
  ['translation', 'translation_text'],
] as const)('%s', (task, key) => {
  it('gives what the model writes, without its special tokens', async () => {
    const { folder, remove } = await tinySeq2Seq();
    await using write = await pipeline(task, folder);
    await using model = await AutoModelForSeq2SeqLM.from_pretrained(folder);
    remove();
    const expected = [];
    for (const text of texts) {
      const input_ids = [write.tokenizer.encode(text).input_ids];
      expect(input_ids[0]?.at(-1)).toBe(endToken);
      const { sequences } = await model.generate({ input_ids }, short);
      expected.push({ [key]: write.tokenizer.decode(sequences[0] ?? [], { skip_special_tokens: true }) });
    }
    for (const [index, text] of texts.entries()) expect(await write(text, short)).toEqual([expected[index]]);
    expect(await write(texts, short)).toEqual(expected);
    expect(await write(texts, { ...short, batch_size: 2 })).toEqual(expected);
    expect(await write([])).toEqual([]);
    expect(write.task).toBe(task);
  });
});

it('gives several answers a text where they are asked for, the best first', async () => {
  const { opened } = await open('text2text-generation');
  const options = { ...short, num_beams: 3, num_return_sequences: 2 };
  const alone = [];
  for (const text of texts) alone.push(await opened(text, options));
  expect(alone.map((answers) => answers.length)).toEqual([2, 2, 2]);
  expect(await opened(texts, options)).toEqual(alone);
  await opened.dispose();
});

it('draws the same with a seed for each text, whatever the batch size', async () => {
  const { opened } = await open('text2text-generation');
  const options = { ...short, do_sample: true, temperature: 3, seed: [1, 2, 3] };
  const whole = await opened(texts, options);
  expect(await opened(texts, { ...options, batch_size: 1 })).toEqual(whole);
  expect(await opened(texts[1] ?? '', { ...options, seed: 2 })).toEqual([whole[1]]);
  await opened.dispose();
});

it('cuts texts only when told to', async () => {
  const { opened, generate } = await open('summarization');
  const long = 'god '.repeat(20);
  await opened(long, short);
  await opened(long, { ...short, truncation: true });
  expect(generate.mock.calls.map(([{ input_ids }]) => input_ids[0]?.length)).toEqual([21, 12]);
  await opened.dispose();
});

describe('stream', () => {
  const collect = async (stream: AsyncIterable<string>) => {
    const pieces: string[] = [];
    for await (const piece of stream) pieces.push(piece);
    return pieces;
  };

  it('gives the answer of a call in pieces, and then says how it went', async () => {
    const { opened } = await open('text2text-generation');
    for (const text of texts) {
      for (const options of [
        short,
        { ...short, num_beams: 3 },
        { ...short, do_sample: true, temperature: 3, seed: 5 },
        { ...short, decoder_start_token_id: 58 }, // a word: it belongs to the answer
        { ...short, clean_up_tokenization_spaces: true },
      ]) {
        const [{ generated_text }] = await opened(text, options);
        const stream = opened.stream(text, options);
        const pieces = await collect(stream);
        expect(pieces.join('')).toBe(generated_text);
        if ('num_beams' in options) expect(pieces).toHaveLength(1);
        else if (!('decoder_start_token_id' in options)) expect(pieces.length).toBeGreaterThan(3);
        expect(stream.finishReason).toBe('length');
        expect(stream.statistics?.newTokens).toBe(short.max_new_tokens);
        expect(stream.statistics?.promptTokens).toBeGreaterThanOrEqual(opened.tokenizer.encode(text).input_ids.length);
      }
    }
    await opened.dispose();
  });

  it('reads what a call reads: prefix, languages, cut', async () => {
    const task_specific_params = { summarization: { prefix: 'light ', num_beams: 2, max_length: 5 } };
    const { opened } = await open('summarization', { task_specific_params });
    const long = 'god earth '.repeat(20);
    for (const options of [{}, { truncation: true }, { max_new_tokens: 3, num_beams: 1 }]) {
      const [{ summary_text }] = await opened(long, options);
      expect((await collect(opened.stream(long, options))).join('')).toBe(summary_text);
    }
    await opened.dispose();
    const { opened: translate } = await open('translation', {}, { tokenizer_class: 'MBartTokenizerFast' });
    const languages = { src_lang: 'en_XX', tgt_lang: 'de_DE', ...short };
    const [{ translation_text }] = await translate('god', languages);
    expect((await collect(translate.stream('god', languages))).join('')).toBe(translation_text);
    await translate.dispose();
  });

  it('takes what pipeline() was given, but not what it has no use for there', async () => {
    const { folder, remove } = await tinySeq2Seq();
    const streamer = { put: jest.fn(), end: jest.fn() };
    const opened = await pipeline('summarization', folder, { max_new_tokens: 4, batch_size: 2, streamer }).finally(
      remove,
    );
    const stream = opened.stream('god');
    await collect(stream);
    expect(stream.statistics?.newTokens).toBe(4);
    expect(streamer.put).not.toHaveBeenCalled();
    await opened.dispose();
  });

  it('can be left early or aborted, and frees its cache', async () => {
    const { opened } = await open('text2text-generation');
    await opened('god', short); // pages stay for the next caches
    const before = opened.model.memoryFootprint().cache;
    for await (const _ of opened.stream('god', short)) break;
    const controller = new AbortController();
    const read = async () => {
      for await (const _ of opened.stream('god', { ...short, signal: controller.signal })) controller.abort();
    };
    expect((await rejection(read())).code).toBe('ABORTED');
    expect(opened.model.memoryFootprint().cache).toBe(before);
    await opened.dispose();
  });

  it.each<[unknown, unknown, string, string]>([
    ['god', { batch_size: 2 }, 'UNSUPPORTED_OPTION', "'batch_size'"],
    ['god', { streamer: { put() {}, end() {} } }, 'UNSUPPORTED_OPTION', 'iterate over it'],
    ['god', { src_lang: 'en' }, 'UNSUPPORTED_OPTION', "'src_lang'"],
    ['god', { truncation: 3 }, 'INVALID_ARGUMENT', "'truncation'"],
    ['god', 7, 'INVALID_ARGUMENT', 'options'],
    [['god', 'light'], {}, 'INVALID_ARGUMENT', 'a list of 2'],
    [[], {}, 'INVALID_ARGUMENT', 'one text'],
    [7, {}, 'INVALID_ARGUMENT', 'must be a text'],
  ])('refuses %j with %j', async (input, options, code, part) => {
    const { opened } = await open('summarization');
    const error = failure(() => opened.stream(input as string, options as object));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
    await opened.dispose();
  });
});

it('gives tokens to a streamer as they come, for one text', async () => {
  const { opened } = await open('text2text-generation');
  const got: (readonly number[])[] = [];
  const streamer = { put: (ids: readonly number[]) => void got.push(ids), end: () => void got.push([-1]) };
  const [{ generated_text }] = await opened('god', { ...short, streamer });
  expect(got.map(({ length }) => length)).toEqual(Array(short.max_new_tokens + 2).fill(1));
  expect([got[0], got.at(-1)]).toEqual([[0], [-1]]);
  expect(opened.tokenizer.decode(got.slice(0, -1).flat(), { skip_special_tokens: true })).toBe(generated_text);
  const error = await rejection(opened(['god', 'light'], { ...short, streamer }));
  expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('streamer')]);
  await opened.dispose();
});

describe('task_specific_params', () => {
  const task_specific_params = {
    summarization: { prefix: 'light ', num_beams: 2, max_length: 5, early_stopping: true },
    translation_en_to_de: { prefix: 'the ', max_length: 9 },
    translation_en_to_fr: { prefix: 'earth ', max_length: 9 },
  };

  it('give a prefix and options, which those of the call win over', async () => {
    const { opened, generate } = await open('summarization', { task_specific_params });
    const { input_ids: ids } = opened.tokenizer.encode('light god');
    await opened('god');
    await opened('god', { max_new_tokens: 3, num_beams: 1 });
    expect(generate.mock.calls[0]).toEqual([
      { input_ids: [ids] },
      { num_beams: 2, max_length: 5, early_stopping: true },
    ]);
    expect(generate.mock.calls[1]?.[1]).toEqual({ num_beams: 1, max_new_tokens: 3, early_stopping: true });
    await opened.dispose();
  });

  it.each([
    ['translation', {}, 'the god'],
    ['translation', { src_lang: 'en', tgt_lang: 'fr' }, 'earth god'],
    ['translation_en_to_fr', {}, 'earth god'],
    ['translation_en_to_fr', { src_lang: 'en', tgt_lang: 'de' }, 'the god'],
  ] as const)('%s with %j reads %j', async (task, languages, text) => {
    const { opened, generate } = await open(task, { task_specific_params });
    await opened('god', languages);
    expect(generate.mock.calls[0]?.[0].input_ids).toEqual([opened.tokenizer.encode(text).input_ids]);
    expect(opened.task).toBe('translation');
    await opened.dispose();
  });

  it('name the translations that there are', async () => {
    const { opened } = await open('translation', { task_specific_params });
    const error = await rejection(opened('god', { src_lang: 'de', tgt_lang: 'en' }));
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.message).toMatch(/'de' to 'en'.*translation_en_to_de, translation_en_to_fr/);
    await opened.dispose();
  });
});

describe('languages', () => {
  const [english, german, french] = [firstLanguage, firstLanguage + 1, firstLanguage + 2];
  const god = 58; // its place in the word tokenizer's vocabulary

  // What the tokenizers of transformers put around a text, and the token that they force the translation to begin with.
  it.each([
    ['MBartTokenizerFast', {}, 'en_XX', 'de_DE', [god, endToken, english], german],
    ['MBart50Tokenizer', {}, 'de_DE', 'en_XX', [german, god, endToken], english],
    ['NllbTokenizerFast', {}, 'en_XX', 'de_DE', [english, god, endToken], german],
    ['NllbTokenizerFast', { legacy_behaviour: true }, 'en_XX', 'de_DE', [god, endToken, english], german],
    ['M2M100Tokenizer', {}, 'en_XX', 'fr', [english, god, endToken], french],
  ])('%s %j', async (tokenizer_class, more, src_lang, tgt_lang, ids, forced_bos_token_id) => {
    const { opened, generate } = await open('translation', {}, { tokenizer_class, ...more });
    await opened('god', { src_lang, tgt_lang, ...short });
    expect(generate.mock.calls[0]).toEqual([{ input_ids: [ids] }, { forced_bos_token_id, ...short }]);
    const [{ sequences } = { sequences: [] }] = await Promise.all(generate.mock.results.map(({ value }) => value));
    expect(sequences[0]?.slice(0, 2)).toEqual([0, forced_bos_token_id]);
    await opened('god '.repeat(20), { src_lang, tgt_lang, ...short, truncation: true });
    expect(generate.mock.calls[1]?.[0].input_ids[0]).toHaveLength(12);
    await opened.dispose();
  });

  it('are ignored by models for one pair', async () => {
    const { opened } = await open('translation');
    expect(await opened('god', { src_lang: 'en', tgt_lang: 'de', ...short })).toEqual(await opened('god', short));
    await opened.dispose();
  });
});

describe('what is refused', () => {
  const several = { tokenizer_class: 'MBartTokenizer' };
  it.each<[keyof Pipelines, object, unknown, object, string, string]>([
    ['translation', several, 'god', {}, 'INVALID_ARGUMENT', "'src_lang'"],
    ['translation', several, 'god', { src_lang: 'en_XX' }, 'INVALID_ARGUMENT', "'tgt_lang'"],
    ['translation', several, 'god', { src_lang: 'xx', tgt_lang: 'en_XX' }, 'INVALID_ARGUMENT', "language 'xx'"],
    ['summarization', {}, 'god', { src_lang: 'en' }, 'UNSUPPORTED_OPTION', "'src_lang'"],
    ['summarization', {}, 'god', { return_tensors: true }, 'UNSUPPORTED_OPTION', 'model.generate()'],
    ['summarization', {}, 'god', { stop_sequence: '.' }, 'UNSUPPORTED_OPTION', 'stop_strings'],
    ['summarization', {}, 'god', { max_tokens: 3 }, 'UNKNOWN_OPTION', 'max_new_tokens'],
    ['summarization', {}, 'god', { truncation: 'longest' }, 'INVALID_ARGUMENT', "'truncation'"],
    ['summarization', {}, 'god', { batch_size: 0 }, 'INVALID_ARGUMENT', "'batch_size'"],
    ['text2text-generation', {}, { text: 'god' }, {}, 'INVALID_ARGUMENT', 'must be a text'],
  ])('%s %j %j %j', async (task, tokenizerConfig, input, options, code, part) => {
    const { opened } = await open(task, {}, tokenizerConfig);
    const run = opened as unknown as (input: unknown, options: object) => Promise<unknown>;
    const error = await rejection(run(input, options)).finally(() => opened.dispose());
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
  });

  it.each(['translation_en', 'translate', 'summarisation'])('there is no task %s', async (task) => {
    const error = await rejection(pipeline(task as 'translation', 'anywhere'));
    expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining(`'${task}'`)]);
  });
});
