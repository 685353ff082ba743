import { type LoadOptions, type Pipelines, pipeline } from '../../../ts';
import { rejection } from '../failure';
import { fixtureFolder } from '../models/fixture_folder';
import { tinySeq2Seq } from '../tiny_seq2seq';

const text = 'The earth was light.';
type AnyCall = (input: unknown, options?: object) => Promise<unknown>;

/** Opens a pipeline with options of calls, whatever the task. */
async function open(task: keyof Pipelines, source: string, options: object = {}): Promise<AsyncDisposable & AnyCall> {
  return (await pipeline(task, source, options)) as unknown as AsyncDisposable & AnyCall;
}

const asked = { question: 'who was?', context: 'The light was on the earth, and God was.' };
const greedy = { do_sample: false, eos_token_id: null };

describe('options of calls that pipeline() is given', () => {
  it.each<[keyof Pipelines, string, unknown, object, object]>([
    ['feature-extraction', 'bert', text, { pooling: 'mean', normalize: true }, { pooling: 'cls' }],
    ['feature-extraction', 'bert', [text], { max_length: 3 }, { max_length: 2 }],
    ['fill-mask', 'bert-mlm', 'the [MASK]', { top_k: 2, targets: ['god', 'light'] }, { top_k: 1 }],
    ['text-classification', 'bert-cls', [text], { top_k: 2 }, { top_k: 1 }],
    ['sentiment-analysis', 'bert-cls', text, { function_to_apply: 'none' }, { function_to_apply: 'sigmoid' }],
    ['token-classification', 'electra-tok', text, { ignore_labels: [] }, { ignore_labels: ['I-PER'] }],
    ['ner', 'electra-tok', text, { aggregation_strategy: 'simple' }, { aggregation_strategy: 'none' }],
    ['question-answering', 'bert-qa', asked, { top_k: 3, max_answer_len: 4 }, { top_k: 2 }],
    ['zero-shot-classification', 'bert-cls', text, { candidate_labels: 'earth, god' }, { candidate_labels: ['light'] }],
    ['text-generation', 'llama-chat', 'Once', { ...greedy, max_new_tokens: 5 }, { max_new_tokens: 2 }],
    ['text-generation', 'llama-chat', ['Once'], { ...greedy, return_full_text: false }, { return_full_text: true }],
  ])('%s of %s: %j %j %j are those of a call that says nothing else', async (task, name, input, defaults, own) => {
    await using plain = await open(task, fixtureFolder(name));
    await using given = await open(task, fixtureFolder(name), defaults);
    const expected = await plain(input, defaults);
    expect(await given(input)).toEqual(expected);
    expect(await given(input, {})).toEqual(expected);
    const undefinedValues = Object.fromEntries(Object.keys(defaults).map((key) => [key, undefined]));
    expect(await given(input, undefinedValues)).toEqual(expected);
    const changed = await given(input, own);
    expect(changed).toEqual(await plain(input, { ...defaults, ...own }));
    expect(changed).not.toEqual(expected);
  });

  it('sentence similarity takes its pooling, too', async () => {
    const input = { source_sentence: 'god', sentences: [text, 'the light'] };
    await using plain = await pipeline('sentence-similarity', fixtureFolder('bert'));
    await using given = await pipeline('sentence-similarity', fixtureFolder('bert'), { pooling: 'cls', batch_size: 1 });
    expect(await given(input)).toEqual(await plain(input, { pooling: 'cls' }));
    expect(await given(input, { pooling: 'mean' })).toEqual(await plain(input));
  });

  it.each([
    ['summarization', 'summary_text', { num_beams: 2 }],
    ['translation', 'translation_text', { src_lang: 'en', tgt_lang: 'de' }],
    ['translation_en_to_de', 'translation_text', { clean_up_tokenization_spaces: true }],
    ['text2text-generation', 'generated_text', { truncation: true }],
  ] as const)('%s takes those of generate and its own', async (task, key, more) => {
    const { folder: source, remove } = await tinySeq2Seq();
    await using given = await pipeline(task, source, { max_new_tokens: 4, batch_size: 1, ...more });
    await using plain = await pipeline(task, source);
    remove();
    const generate = jest.spyOn(given.model, 'generate');
    const [answer] = await given(['god', 'light']);
    expect(answer).toEqual((await plain('god', { max_new_tokens: 4, ...('num_beams' in more ? more : {}) }))[0]);
    expect(Object.keys(answer ?? {})).toEqual([key]);
    expect(generate).toHaveBeenCalledTimes(2);
    await given('god', { max_length: 6 });
    expect(generate.mock.lastCall?.[1]).toMatchObject({ max_length: 6 });
    expect(generate.mock.lastCall?.[1]).not.toHaveProperty('max_new_tokens');
  });

  it('are those of streams and conversations, as far as they have them', async () => {
    const defaults = { ...greedy, max_new_tokens: 5, return_full_text: false, batch_size: 2, prefixCache: false };
    await using given = await pipeline('text-generation', fixtureFolder('llama-chat'), defaults);
    const [{ generated_text: expected }] = await given('Once');
    const joined = async (stream: AsyncIterable<string>) => {
      let all = '';
      for await (const piece of stream) all += piece;
      return all;
    };
    expect(await joined(given.stream('Once'))).toBe(expected);
    expect(await joined(given.stream('Once', { max_length: 4 }))).not.toBe(expected);
    const chat = [{ role: 'user', content: 'Hi!' }];
    using session = given.chat();
    expect(await joined(session.send('Hi!'))).toBe(await joined(given.stream(chat)));
    await using plain = await pipeline('text-generation', fixtureFolder('llama-chat'));
    expect(await joined(plain.stream(chat, { ...greedy, max_new_tokens: 5 }))).toBe(
      await joined(given.stream(chat, { eos_token_id: null })),
    );
  });

  it('text classification gives lists where there is top_k, that of one text in a list, as in Python', async () => {
    await using ranked = await pipeline('text-classification', fixtureFolder('bert-cls'), { top_k: 2 });
    const [[first, second]] = await ranked(text);
    expect(first.score).toBeGreaterThan(second?.score ?? 1);
    const labels = [first, second];
    expect(await ranked([text])).toEqual([labels]);
    expect(await ranked(text, { top_k: 2 })).toEqual(labels);
    expect(await ranked({ text })).toEqual(labels);
  });

  it('have types that tell what comes out', async () => {
    await using extract = await pipeline('feature-extraction', fixtureFolder('bert'), {
      pooling: 'mean',
      dtype: 'float32',
    });
    const vector: number[] = await extract(text);
    const rows: number[][] = await extract(text, { pooling: 'none' });
    expect(vector.length).toBe(rows[0]?.length);
    await using find = await pipeline('ner', fixtureFolder('electra-tok'), { aggregation_strategy: 'simple' });
    const groups: { entity_group: string }[] = await find(text);
    const entities: { entity: string }[] = await find(text, { aggregation_strategy: 'none' });
    expect(groups.length).toBeLessThanOrEqual(entities.length);
    await using judge = await pipeline('zero-shot-classification', fixtureFolder('bert-cls'), {
      candidate_labels: ['god'],
    });
    const { labels }: { labels: string[] } = await judge(text);
    expect(labels).toEqual(['god']);
  });

  it('have no signal among them: it ends the loading', async () => {
    const controller = new AbortController();
    await using extract = await pipeline('feature-extraction', fixtureFolder('bert'), { signal: controller.signal });
    controller.abort();
    expect((await extract(text)).length).toBeGreaterThan(0);
    const loading = pipeline('feature-extraction', fixtureFolder('bert'), {
      signal: controller.signal,
      pooling: 'mean',
    });
    expect((await rejection(loading)).code).toBe('ABORTED');
  });
});

describe('what is refused before anything is opened', () => {
  const nowhere = '/nowhere/at/all';
  it.each<[keyof Pipelines, object, string, string]>([
    ['ner', { agregation_strategy: 'simple' }, 'UNKNOWN_OPTION', "did you mean 'aggregation_strategy'"],
    ['ner', { aggregation_strategy: 'simple', quantisation: 'int8' }, 'UNKNOWN_OPTION', "did you mean 'quantization'"],
    ['fill-mask', { pooling: 'mean' }, 'UNKNOWN_OPTION', "pipeline('fill-mask') has no option 'pooling'"],
    ['feature-extraction', { padding: true }, 'UNSUPPORTED_OPTION', 'nothing is padded'],
    ['feature-extraction', { load_in_8bit: true }, 'UNSUPPORTED_OPTION', 'quantization_config'],
    ['text-classification', { return_all_scores: true }, 'UNSUPPORTED_OPTION', 'top_k: null'],
    ['text-generation', { maxNewTokens: 3 }, 'UNKNOWN_OPTION', "did you mean 'max_new_tokens'"],
    ['text-generation', { num_beam_groups: 2 }, 'UNSUPPORTED_OPTION', 'num_beam_groups'],
    ['text-generation', { stop_sequence: 'x' }, 'UNSUPPORTED_OPTION', 'stop_strings'],
    ['summarization', { src_lang: 'en' }, 'UNSUPPORTED_OPTION', 'translations'],
    ['translation', { sourceLang: 'en' }, 'UNKNOWN_OPTION', "pipeline('translation') has no option 'sourceLang'"],
    ['translation', { num_beam_groups: 1 }, 'NOT_FOUND', nowhere], // which changes nothing
  ])('%s %j', async (task, options, code, part) => {
    const error = await rejection(pipeline(task, nowhere, options as LoadOptions));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
  });

  it('what is no object', async () => {
    const error = await rejection(pipeline('text-generation', nowhere, 'int8' as unknown as LoadOptions));
    expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining("'int8'")]);
  });

  it('what the compiler refuses, too', async () => {
    const codes = [
      // @ts-expect-error no task has it
      await rejection(pipeline('ner', nowhere, { agregation_strategy: 'simple' })),
      // @ts-expect-error it is another task's
      await rejection(pipeline('fill-mask', nowhere, { pooling: 'mean' })),
      // @ts-expect-error an option of a call
      await rejection(pipeline('text-generation', nowhere, { top_k: '5', num_beams: 2, padding: true })),
    ].map(({ code }) => code);
    expect(codes).toEqual(['UNKNOWN_OPTION', 'UNKNOWN_OPTION', 'UNSUPPORTED_OPTION']);
  });
});
