import { AutoModelForCausalLM, defineArchitecture, nn } from '../../../ts';
import { decoderFamilies } from '../../../ts/models/decoder_families';
import { encoderDecoderFamilies } from '../../../ts/models/encoder_decoder_families';
import { encoderFamilies } from '../../../ts/models/encoder_families';
import { failure } from '../failure';
import { randomNumbers, type StoredTensor, writeCheckpoint } from '../random_checkpoint';

/** A model of one plain layer with learned positions: out = embed(id) + position; out += ffn(norm(out)); logits = head(out). */
const tiny = {
  model_type: 'octo-test-tiny',
  tasks: ['causal-lm'],
  defaults: { width: 4 },
  build(config, g) {
    const width = config.integer('width');
    const stream = nn.embedding(g, 'tokens', { count: config.integer('vocab_size'), width });
    nn.embedding(g, 'positions', { count: 8, width, index: 'position_ids', addTo: stream });
    const normed = nn.layerNorm(g, 'norm', stream, { epsilon: 1e-5 });
    const out = nn.feedForward(g, 'ffn', normed, {
      innerFeatures: 6,
      outFeatures: width,
      activation: 'relu',
      bias: true,
      residual: stream,
    });
    g.output('last_hidden_state', out);
    const rows = g.buffer('rows', width);
    g.add({ op: 'gather_rows', input: out, out: rows });
    g.output('logits', nn.linear(g, 'head', rows, { outFeatures: config.integer('vocab_size') }));
  },
} satisfies Parameters<typeof defineArchitecture>[0];

const vocabulary = 5;
const shapes = {
  'tokens.weight': [vocabulary, 4],
  'positions.weight': [8, 4],
  'norm.weight': [4],
  'norm.bias': [4],
  'ffn.up_proj.weight': [6, 4],
  'ffn.up_proj.bias': [6],
  'ffn.down_proj.weight': [4, 6],
  'ffn.down_proj.bias': [4],
  'head.weight': [vocabulary, 4],
} as const;

function randomTensors(): StoredTensor[] {
  const next = randomNumbers(5);
  return Object.entries(shapes).map(([name, shape]) => ({
    name,
    shape,
    data: Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, next),
  }));
}

/** The same model in plain loops over double precision. */
function expectedLogits(tensors: readonly StoredTensor[], ids: readonly number[]): number[][] {
  const at = (name: keyof typeof shapes) => tensors.find((tensor) => tensor.name === name)?.data ?? new Float32Array();
  const row = (name: keyof typeof shapes, index: number, width: number) => [
    ...at(name).slice(index * width, (index + 1) * width),
  ];
  const times = (name: keyof typeof shapes, x: readonly number[]) =>
    Array.from({ length: at(name).length / x.length }, (_, out) =>
      row(name, out, x.length).reduce((sum, weight, index) => sum + weight * (x[index] ?? 0), 0),
    );
  const plus = (x: readonly number[], y: ArrayLike<number>) => x.map((value, index) => value + (y[index] ?? 0));
  return ids.map((id, position) => {
    const stream = plus(row('tokens.weight', id, 4), row('positions.weight', position, 4));
    const mean = stream.reduce((sum, value) => sum + value, 0) / 4;
    const variance = stream.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 4;
    const normed = stream.map(
      (value, index) =>
        ((value - mean) / Math.sqrt(variance + 1e-5)) * (at('norm.weight')[index] ?? 0) + (at('norm.bias')[index] ?? 0),
    );
    const inner = plus(times('ffn.up_proj.weight', normed), at('ffn.up_proj.bias')).map((value) => Math.max(value, 0));
    return times('head.weight', plus(plus(times('ffn.down_proj.weight', inner), at('ffn.down_proj.bias')), stream));
  });
}

it('runs an architecture that a user defines', async () => {
  expect(defineArchitecture(tiny)).toBe(tiny);
  const tensors = randomTensors();
  const checkpoint = writeCheckpoint({ model_type: 'octo-test-tiny', vocab_size: vocabulary }, tensors);
  try {
    await using model = await AutoModelForCausalLM.from_pretrained(checkpoint.folder);
    const ids = [3, 0, 4, 1];
    const { logits } = await model.forward({ input_ids: [ids] });
    const expected = expectedLogits(tensors, ids).flat();
    expect(logits[0]?.dims).toEqual([4, vocabulary]);
    for (const [index, value] of expected.entries()) {
      // A few dozen float32 operations on numbers of about 1.
      expect(Math.abs((logits[0]?.data[index] ?? Number.NaN) - value)).toBeLessThan(1e-5);
    }
    expect(model.describe()).toContain('OctoTestTinyForCausalLM(');
    expect(model.config.width).toBe(4);
  } finally {
    checkpoint.remove();
  }
});

it('refuses a definition without what it needs', () => {
  type Definition = Parameters<typeof defineArchitecture>[0];
  for (const wrong of [
    { ...tiny, model_type: '' },
    { ...tiny, tasks: [] },
    { ...tiny, build: undefined },
  ]) {
    expect(failure(() => defineArchitecture(wrong as unknown as Definition)).code).toBe('INVALID_ARGUMENT');
  }
});

it('every built-in family is listed by its own model_type', () => {
  for (const [name, family] of Object.entries({ ...decoderFamilies, ...encoderFamilies, ...encoderDecoderFamilies })) {
    expect(family().model_type).toBe(name);
  }
});
