import {
  AutoModel,
  AutoModelForCausalLM,
  AutoModelForQuestionAnswering,
  AutoModelForSeq2SeqLM,
  AutoModelForSequenceClassification,
  type Tensor,
} from '../../../ts';
import { rejection } from '../failure';
import { fixtureFolder } from './fixture_folder';
import { paddingFirst, part, whole } from './padded_inputs';

const float32 = { dtype: 'float32' } as const;

const behind = { input_ids: [whole, [...part, 0, 0]], attention_mask: [whole.map(() => 1), [1, 1, 1, 0, 0]] };
const before = paddingFirst(0);
const everything = { output_hidden_states: true, output_attentions: true } as const;

/** A tensor of the tokens alone with zeros for `first` more places before, and as many as it then takes to get to `length`. */
function padded({ data, dims }: Tensor, length: number, first = 0): Tensor {
  const row = data.length / (dims[0] ?? 1);
  const result = new Float32Array(length * row);
  result.set(data, first * row);
  return { data: result, dims: [length, ...dims.slice(1)] };
}

it('of ones changes nothing', async () => {
  await using model = await AutoModelForCausalLM.from_pretrained(fixtureFolder('llama'));
  const input_ids = [whole, part];
  const attention_mask = input_ids.map((ids) => ids.map(() => 1));
  expect(await model.forward({ input_ids, attention_mask })).toEqual(await model.forward({ input_ids }));
});

describe('decoders compute the tokens alone', () => {
  // Python agrees: gpt2 and llama count padding before the tokens in their positions, opt doesn't, bloom has none.
  it.each(['gpt2', 'llama', 'opt', 'bloom'])('of %s, and give zeros for padding', async (name) => {
    await using model = await AutoModelForCausalLM.from_pretrained(fixtureFolder(name), float32);
    const alone = await model.forward({ input_ids: [whole, part], ...everything });
    const right = await model.forward({ ...behind, ...everything });
    expect(right.logits).toEqual([alone.logits[0], padded(alone.logits[1] as Tensor, 5)]);
    expect(right.hidden_states?.map((layer) => layer[1])).toEqual(
      alone.hidden_states?.map((layer) => padded(layer[1] as Tensor, 5)),
    );
    const shifted =
      name === 'opt'
        ? {}
        : {
            position_ids: [
              [0, 1, 2, 3, 4],
              [2, 3, 4],
            ],
          };
    const there = await model.forward({ input_ids: [whole, part], ...shifted });
    const left = await model.forward(before);
    expect(left.logits).toEqual([there.logits[0], padded(there.logits[1] as Tensor, 5, 2)]);
    expect(left.last_hidden_state[1]).toEqual(padded(there.last_hidden_state[1] as Tensor, 5, 2));
  });

  it('attend to nothing but tokens, after those of a past', async () => {
    await using model = await AutoModelForCausalLM.from_pretrained(fixtureFolder('llama'), float32);
    const first = await model.forward({ input_ids: [[20, 21]], use_cache: true });
    const past = first.past?.[0]?.fork();
    const again = await model.forward({ input_ids: [part], past: past ? [past.fork()] : [], ...everything });
    const given = { input_ids: [[0, ...part]], attention_mask: [[0, 1, 1, 1]], position_ids: [[0, 2, 3, 4]] };
    const masked = await model.forward({ ...given, past: past ? [past] : [], ...everything });
    expect(masked.logits).toEqual([padded(again.logits[0] as Tensor, 4, 1)]);
    const probabilities = masked.attentions?.[0]?.[0];
    const [heads = 0] = again.attentions?.[0]?.[0]?.dims ?? [];
    expect(probabilities?.dims).toEqual([heads, 4, 6]);
    const row = again.attentions?.[0]?.[0]?.data.subarray(0, 5) ?? [];
    // Row 1 is the first token's: over the past, the padding, and all tokens.
    expect([...(probabilities?.data.subarray(6, 12) ?? [])]).toEqual([row[0], row[1], 0, row[2], row[3], row[4]]);
    expect([...(probabilities?.data.subarray(0, 6) ?? [])]).toEqual([0, 0, 0, 0, 0, 0]);
    for (const cache of [past, ...(first.past ?? [])]) cache?.dispose();
  });
});

it('encoders give zeros for padding, one answer a sequence, and a number a token', async () => {
  await using model = await AutoModel.from_pretrained(fixtureFolder('bert'), float32);
  const token_type_ids = [
    [0, 0, 0, 1, 1],
    [0, 0, 1],
  ];
  const alone = await model.forward({ input_ids: [whole, part], token_type_ids, ...everything });
  const padding = {
    ...behind,
    token_type_ids: [
      [0, 0, 0, 1, 1],
      [0, 0, 1, 0, 0],
    ],
  };
  const masked = await model.forward({ ...padding, ...everything });
  expect(masked.last_hidden_state).toEqual([
    alone.last_hidden_state[0],
    padded(alone.last_hidden_state[1] as Tensor, 5),
  ]);
  expect(masked.pooler_output).toEqual(alone.pooler_output);
  expect(masked.attentions?.[0]?.[1]?.dims.slice(1)).toEqual([5, 5]);
  await using answers = await AutoModelForQuestionAnswering.from_pretrained(fixtureFolder('bert-qa'), float32);
  const [, span] = (await answers.forward({ input_ids: [whole, part] })).start_logits;
  expect((await answers.forward(behind)).start_logits[1]).toEqual(padded(span as Tensor, 5));
});

it('encoder-decoders read and attend to the tokens alone', async () => {
  await using model = await AutoModelForSeq2SeqLM.from_pretrained(fixtureFolder('t5'), float32);
  const decoder_input_ids = [
    [0, 5, 6],
    [0, 7],
  ];
  const alone = await model.forward({ input_ids: [whole, part], decoder_input_ids, ...everything });
  const masked = await model.forward({ ...behind, decoder_input_ids, ...everything });
  expect(masked.logits).toEqual(alone.logits);
  expect(masked.encoder_last_hidden_state?.[1]).toEqual(padded(alone.encoder_last_hidden_state?.[1] as Tensor, 5));
  const [heads = 0, queries = 0] = alone.cross_attentions?.[0]?.[1]?.dims ?? [];
  const { data = [], dims } = masked.cross_attentions?.[0]?.[1] ?? {};
  expect(dims).toEqual([heads, queries, 5]);
  const first = [...(alone.cross_attentions?.[0]?.[1]?.data.subarray(0, 3) ?? [])];
  expect([...data.slice(0, 5)]).toEqual([...first, 0, 0]);
  const options = { max_new_tokens: 6, num_beams: 2 } as const;
  const { sequences } = await model.generate({ input_ids: [whole, part] }, options);
  expect((await model.generate(behind, options)).sequences).toEqual(sequences);
});

it.each([{}, { num_beams: 3, num_return_sequences: 2 }])(
  'generation begins with the padding, and sees none of it: %j',
  async (options) => {
    await using model = await AutoModelForCausalLM.from_pretrained(fixtureFolder('gpt2'), float32);
    const given = { max_new_tokens: 6, eos_token_id: null, ...options };
    const { sequences } = await model.generate({ input_ids: [whole, part] }, given);
    const masked = await model.generate(before, given);
    const half = sequences.length / 2;
    expect(masked.sequences).toEqual([
      ...sequences.slice(0, half),
      ...sequences.slice(half).map((ids) => [0, 0, ...ids]),
    ]);
  },
);

it('is refused where it says something else', async () => {
  await using model = await AutoModelForCausalLM.from_pretrained(fixtureFolder('gpt2'));
  const input_ids = [[5, 6, 7]];
  const failure = (attention_mask: number[][]) => rejection(model.forward({ input_ids, attention_mask }));
  for (const [mask, code, named] of [
    [[[1, 0, 1]], 'UNSUPPORTED_OPTION', 'attention_mask[0]'],
    [[[0, 0, 0]], 'INVALID_ARGUMENT', 'no token'],
    [[[1, 1]], 'INVALID_ARGUMENT', 'attention_mask'],
    [[[1, 1, 2]], 'INVALID_ARGUMENT', 'attention_mask[0][2] is 2'],
    [[[1, 1, 1], [1]], 'INVALID_ARGUMENT', 'attention_mask'],
  ] as const) {
    const { code: found, message } = await failure(mask.map((list) => [...list]));
    expect([found, message]).toEqual([code, expect.stringContaining(named)]);
  }
  await using labels = await AutoModelForSequenceClassification.from_pretrained(fixtureFolder('bert-cls'));
  const left = { input_ids, attention_mask: [[0, 1, 1]] };
  const { code, message } = await rejection(labels.forward(left));
  expect([code, message]).toEqual(['UNSUPPORTED_OPTION', expect.stringContaining('begins with padding')]);
  const right = { input_ids, attention_mask: [[1, 1, 0]] };
  expect((await rejection(model.generate(right))).code).toBe('UNSUPPORTED_OPTION');
});
