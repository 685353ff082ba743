import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM, type Seq2SeqLanguageModel } from '../../../ts';
import { rejection } from '../failure';

const models = join(__dirname, '..', '..', 'fixtures', 'models');
const inputs = [
  [3, 14, 15, 9, 26, 5, 35, 8, 9, 7],
  [31, 4],
  [2, 7, 18, 28, 18, 28, 4, 5, 9],
];
const free = { eos_token_id: null, max_new_tokens: 9 } as const;

let model: Seq2SeqLanguageModel;
beforeAll(async () => {
  model = await AutoModelForSeq2SeqLM.from_pretrained(join(models, 't5'));
});
afterAll(() => model.dispose());

describe('sequences', () => {
  it('begin with the start token, and are the same in a batch as alone', async () => {
    const { sequences } = await model.generate({ input_ids: inputs }, free);
    for (const [index, ids] of inputs.entries()) {
      const alone = await model.generate({ input_ids: [ids] }, free);
      expect(alone.sequences[0]).toEqual(sequences[index]);
      expect(sequences[index]?.[0]).toBe(0);
      expect(sequences[index]).toHaveLength(10);
    }
  });

  it('are those that forward says, token by token', async () => {
    const [input = []] = inputs;
    const { sequences } = await model.generate({ input_ids: [input] }, free);
    const [made = []] = sequences;
    const { logits } = await model.forward({ input_ids: [input], decoder_input_ids: [made.slice(0, -1)] });
    const [data, columns] = [logits[0]?.data ?? new Float32Array(), logits[0]?.dims[1] ?? 0];
    const best = made.slice(1).map((_, row) => {
      const scores = [...data.subarray(row * columns, (row + 1) * columns)];
      return scores.indexOf(Math.max(...scores));
    });
    expect(made.slice(1)).toEqual(best);
  });

  it('may begin with more, before which the start token is put where it is missing', async () => {
    const input_ids = inputs.slice(0, 2);
    const asked = { ...free, max_new_tokens: 3 };
    const whole = await model.generate(
      {
        input_ids,
        decoder_input_ids: [
          [0, 5, 6],
          [0, 7],
        ],
      },
      asked,
    );
    const begun = await model.generate({ input_ids, decoder_input_ids: [[5, 6], [7]] }, asked);
    expect(begun.sequences).toEqual(whole.sequences);
    expect(whole.sequences.map((ids) => ids.slice(0, 2))).toEqual([
      [0, 5],
      [0, 7],
    ]);
    const other = await model.generate({ input_ids }, { ...asked, decoder_start_token_id: 4 });
    expect(other.sequences.map(([first]) => first)).toEqual([4, 4]);
  });

  it('are drawn with a seed, several of each input, as each input would get alone', async () => {
    const drawn = { ...free, do_sample: true, top_k: 0, num_return_sequences: 3, seed: 5 };
    const { sequences } = await model.generate({ input_ids: inputs }, drawn);
    expect(sequences).toHaveLength(9);
    expect(new Set(sequences.slice(0, 3).map((ids) => ids.join())).size).toBeGreaterThan(1);
    const again = await model.generate({ input_ids: inputs.slice(1, 2) }, drawn);
    expect(again.sequences).toEqual(sequences.slice(3, 6));
  });

  it('reach a streamer, the start token first', async () => {
    const seen: (readonly number[] | 'end')[] = [];
    const streamer = { put: (ids: readonly number[]) => void seen.push(ids), end: () => void seen.push('end') };
    const { sequences } = await model.generate({ input_ids: inputs.slice(0, 1) }, { ...free, streamer });
    expect(seen).toEqual([...(sequences[0] ?? []).map((id) => [id]), 'end']);
  });
});

describe('processors', () => {
  it('read the ids of the encoder', async () => {
    const [input = []] = inputs;
    // No single token of the input may come, and then none but they are likely.
    const without = await model.generate({ input_ids: [input] }, { ...free, encoder_no_repeat_ngram_size: 1 });
    expect(without.sequences[0]?.slice(1).some((id) => input.includes(id))).toBe(false);
    const rewarded = await model.generate({ input_ids: [input] }, { ...free, encoder_repetition_penalty: 1000 });
    expect(rewarded.sequences[0]?.slice(1).every((id) => input.includes(id))).toBe(true);
    const beams = await model.generate(
      { input_ids: inputs },
      { ...free, num_beams: 3, encoder_no_repeat_ngram_size: 1 },
    );
    for (const [index, ids] of beams.sequences.entries()) {
      expect(ids.slice(1).some((id) => inputs[index]?.includes(id))).toBe(false);
    }
  });

  it('force the first token and the last', async () => {
    const { sequences } = await model.generate(
      { input_ids: inputs },
      { ...free, forced_bos_token_id: 11, forced_eos_token_id: 12 },
    );
    expect(sequences.map((ids) => [ids[1], ids.at(-1)])).toEqual([
      [11, 12],
      [11, 12],
      [11, 12],
    ]);
  });
});

it('takes options from config.json where there is no generation_config.json, and counts what the encoder reads', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'octoformer-t5-'));
  cpSync(join(models, 't5'), folder, { recursive: true });
  rmSync(join(folder, 'generation_config.json'));
  const path = join(folder, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify({ ...config, max_length: 5, forced_eos_token_id: 12, num_beams: 2 }));
  await using older = await AutoModelForSeq2SeqLM.from_pretrained(folder);
  rmSync(folder, { recursive: true });
  const { sequences, sequences_scores, statistics } = await older.generate({ input_ids: inputs.slice(0, 2) });
  expect(sequences.map((ids) => [ids.length, ids.at(-1)])).toEqual([
    [5, 12],
    [5, 12],
  ]);
  expect(sequences_scores).toHaveLength(2);
  expect(statistics.promptTokens).toBe(10 + 2 + 2); // and the start token of each
});

it('encodes once: steps of beams add no keys of the encoder to the memory', async () => {
  const long = Array.from({ length: 600 }, (_, index) => 3 + ((index * 7) % 30));
  await using own = await AutoModelForSeq2SeqLM.from_pretrained(join(models, 't5'));
  const memory: number[] = [];
  const streamOf = (ids: readonly number[]) => {
    memory.push(own.memoryFootprint().cache + 0 * ids.length);
    return false;
  };
  await own.generate({ input_ids: [long] }, { ...free, stoppingCriteria: [streamOf] });
  const one = Math.max(...memory);
  memory.length = 0;
  await own.generate({ input_ids: [long] }, { ...free, num_beams: 8, stoppingCriteria: [streamOf] });
  // 600 positions of the encoder are 19 pages. Eight beams may have a page each of the decoder's, and one while a step copies it.
  const page = 32 * 2 * 4 * 16 * 3; // tokens, keys and values, bytes, padded columns, heads: at most
  expect(Math.max(...memory)).toBeLessThan(one + 17 * page);
});

describe('positions beyond max_position_embeddings', () => {
  const input = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 22, 30];
  const options = { max_new_tokens: 20, eos_token_id: null };
  // The family's fixture with `max_position_embeddings: 8`.
  const open = async <T>(family: string, auto: { from_pretrained(source: string): Promise<T> }) => {
    const folder = mkdtempSync(join(tmpdir(), 'octoformer-positions-'));
    cpSync(join(models, family), folder, { recursive: true });
    const path = join(folder, 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    writeFileSync(path, JSON.stringify({ ...config, max_position_embeddings: 8 }));
    return auto.from_pretrained(folder).finally(() => rmSync(folder, { recursive: true }));
  };

  it('go on in M2M100 and NLLB', async () => {
    await using m2m = await open('m2m_100', AutoModelForSeq2SeqLM);
    // What transformers 5.5.4 writes.
    const greedy = [2, 26, 26, 0, 24, 0, 24, 26, 26, 26, 24, 0, 28, 23, 23, 23, 23, 23, 23, 23, 23];
    const { sequences, finishReasons } = await m2m.generate({ input_ids: [input] }, options);
    expect([sequences, finishReasons]).toEqual([[greedy], ['length']]);
    const { logits } = await m2m.forward({ input_ids: [input], decoder_input_ids: [greedy], logits_to_keep: 1 });
    const expected = [-0.96656, 1.99175, 0.15142, -0.69382, 0.42158, 0.98451, 0.15263, -0.62629];
    for (const [index, value] of expected.entries()) expect(logits[0]?.data[index]).toBeCloseTo(value, 4);
    const beams = await m2m.generate({ input_ids: [input] }, { max_new_tokens: 20, num_beams: 3 });
    expect(beams.sequences).toEqual([[2, 26, 8, 24, 10, 28, ...Array<number>(15).fill(23)]]);
    await using bare = await open('m2m_100', AutoModel);
    expect(bare.maxTokens).toBe(Number.POSITIVE_INFINITY);
  });

  it('end sequences of Marian, as in Python its table is no longer', async () => {
    await using marian = await open('marian', AutoModelForSeq2SeqLM);
    const { sequences, finishReasons } = await marian.generate({ input_ids: [input.slice(0, 8)] }, options);
    expect([sequences[0]?.length, finishReasons]).toEqual([8, ['context']]);
  });
});

describe('forward', () => {
  it('goes on from a cache without the encoder, and its forks share what was encoded', async () => {
    const [input = []] = inputs;
    const first = await model.forward({ input_ids: [input], decoder_input_ids: [[0, 5]], use_cache: true });
    using cache = first.past?.[0];
    if (!cache) throw new Error('no cache');
    expect([cache.length, cache.encodedLength]).toEqual([2, input.length]);
    using fork = cache.fork();
    expect(fork.encodedLength).toBe(input.length);
    const next = await model.forward({ decoder_input_ids: [[6]], past: fork, output_attentions: true });
    const whole = await model.forward({ input_ids: [input], decoder_input_ids: [[0, 5, 6]], logits_to_keep: 1 });
    expect(next.logits[0]?.data).toEqual(whole.logits[0]?.data);
    expect(next.encoder_last_hidden_state).toBeUndefined();
    expect(next.cross_attentions?.[0]?.[0]?.dims).toEqual([3, 1, input.length]);
    const twice = await rejection(model.forward({ input_ids: [input], decoder_input_ids: [[6]], past: cache }));
    expect(twice.message).toContain('has an encoded sequence already');
  });

  it('of the bare model gives no logits', async () => {
    await using bare = await AutoModel.from_pretrained(join(models, 't5'));
    const inputs_ = { input_ids: inputs.slice(0, 1), decoder_input_ids: [[0, 5]], output_hidden_states: true };
    const outputs = await bare.forward(inputs_);
    const whole = await model.forward(inputs_);
    expect(outputs).not.toHaveProperty('logits');
    expect(outputs.last_hidden_state[0]?.data).toEqual(whole.last_hidden_state[0]?.data);
    expect(outputs.encoder_hidden_states).toEqual(whole.encoder_hidden_states);
  });

  it('of BART makes the ids of the decoder out of those of the encoder', async () => {
    await using bart = await AutoModelForSeq2SeqLM.from_pretrained(join(models, 'bart'));
    const input_ids = inputs.slice(0, 1);
    const made = await bart.forward({ input_ids });
    const given = await bart.forward({ input_ids, decoder_input_ids: [[2, ...(inputs[0] ?? []).slice(0, -1)]] });
    expect(made.logits[0]?.data).toEqual(given.logits[0]?.data);
  });
});

describe('what is wrong is told', () => {
  it.each<[string, () => Promise<unknown>, string, string]>([
    [
      'no decoder ids',
      () => model.forward({ input_ids: inputs }),
      'INVALID_ARGUMENT',
      'decoder_input_ids must be a list',
    ],
    ['no ids', () => model.forward({ decoder_input_ids: [[0]] }), 'INVALID_ARGUMENT', 'input_ids must be a list'],
    [
      'different numbers',
      () => model.forward({ input_ids: inputs, decoder_input_ids: [[0]] }),
      'INVALID_ARGUMENT',
      '3 input_ids and 1 decoder_input_ids',
    ],
    [
      'an id outside the vocabulary',
      () => model.generate({ input_ids: [[3, 37]] }),
      'INVALID_ARGUMENT',
      'input_ids[0][1] is 37',
    ],
    [
      'a start token outside the vocabulary',
      () => model.generate({ input_ids: inputs }, { decoder_start_token_id: 37 }),
      'INVALID_ARGUMENT',
      "'decoder_start_token_id'",
    ],
    [
      'a cache for generate',
      () => model.generate({ input_ids: inputs, past: null } as never),
      'UNSUPPORTED_OPTION',
      "'past'",
    ],
    [
      'a mask of the decoder',
      () => model.forward({ input_ids: inputs, decoder_input_ids: inputs, decoder_attention_mask: inputs } as never),
      'UNSUPPORTED_OPTION',
      'without padding',
    ],
  ])('%s', async (_, call, code, part) => {
    const error = await rejection(call());
    expect(error.code).toBe(code);
    expect(error.message).toContain(part);
  });

  it('a start token for a decoder alone, and decoders opened as encoder-decoders', async () => {
    await using decoder = await AutoModelForCausalLM.from_pretrained(join(models, 'gpt2'));
    const refused = await rejection(decoder.generate({ input_ids: [[3]] }, { decoder_start_token_id: 1 }));
    expect(refused.code).toBe('UNSUPPORTED_OPTION');
    const opened = await rejection(AutoModelForSeq2SeqLM.from_pretrained(join(models, 'gpt2')));
    expect(opened.code).toBe('UNSUPPORTED_ARCHITECTURE');
  });

  it('a checkpoint that names no start token; an input longer than the table of positions', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'octoformer-bart-'));
    cpSync(join(models, 'bart'), folder, { recursive: true });
    const without = (file: string) => {
      const path = join(folder, file);
      const values = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
      for (const key of ['decoder_start_token_id', 'bos_token_id']) values[key] = null;
      writeFileSync(path, JSON.stringify(values));
    };
    without('config.json');
    without('generation_config.json');
    await using bart = await AutoModelForSeq2SeqLM.from_pretrained(folder);
    rmSync(folder, { recursive: true });
    expect((await rejection(bart.generate({ input_ids: inputs }))).message).toContain('decoder_start_token_id');
    const long = Array<number>(25).fill(5);
    const error = await rejection(bart.generate({ input_ids: [long] }, { decoder_start_token_id: 2 }));
    expect(error.code).toBe('CONTEXT_OVERFLOW');
  });

  it('an abort, before and between steps, and a model that was disposed of', async () => {
    const before = await rejection(model.generate({ input_ids: inputs }, { ...free, signal: AbortSignal.abort() }));
    expect(before.code).toBe('ABORTED');
    const controller = new AbortController();
    const stop = (ids: readonly number[]) => {
      if (ids.length === 3) controller.abort();
      return false;
    };
    const between = model.generate(
      { input_ids: inputs },
      { ...free, signal: controller.signal, stoppingCriteria: [stop], num_beams: 2 },
    );
    expect((await rejection(between)).code).toBe('ABORTED');
    const gone = await AutoModelForSeq2SeqLM.from_pretrained(join(models, 't5'));
    const under_way = gone.generate({ input_ids: inputs }, free);
    await gone.dispose();
    expect(['ABORTED', 'DISPOSED']).toContain((await rejection(under_way)).code);
    expect((await rejection(gone.generate({ input_ids: inputs }))).code).toBe('DISPOSED');
  });
});
