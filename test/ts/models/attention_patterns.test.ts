import { AutoModelForCausalLM, type CausalLanguageModel, defineArchitecture, nn } from '../../../ts';
import { failure } from '../failure';
import { failures, largestDifference, sameBits } from '../goldens/comparison';
import { builderOver, headers } from '../graph/tensors';
import { randomNumbers, type StoredTensor, writeCheckpoint } from '../random_checkpoint';
import { testedIsas } from '../tested_isas';

type Pattern = Pick<nn.AttentionOptions, 'window' | 'sinks' | 'strided' | 'fixed'>;

const heads = 2;
const headDim = 6;
const width = heads * headDim;
const vocabulary = 11;
const positions = 320;

/** One layer of attention over tokens and positions: logits = head(x + attention(x)). */
defineArchitecture({
  model_type: 'octo-test-patterns',
  tasks: ['causal-lm'],
  build(config, g) {
    const stream = nn.embedding(g, 'tokens', { count: vocabulary, width });
    nn.embedding(g, 'positions', { count: positions, width, index: 'position_ids', addTo: stream });
    const pattern = (config.section('pattern')?.values ?? {}) as Pattern;
    const out = nn.attention(g, 'attention', stream, {
      heads,
      headDim,
      outFeatures: width,
      residual: stream,
      ...pattern,
    });
    g.output('last_hidden_state', out);
    const rows = g.buffer('rows', width);
    g.add({ op: 'gather_rows', input: out, out: rows });
    g.output('logits', nn.linear(g, 'head', rows, { outFeatures: vocabulary }));
  },
});

const shapes = {
  'tokens.weight': [vocabulary, width],
  'positions.weight': [positions, width],
  'attention.q_proj.weight': [width, width],
  'attention.k_proj.weight': [width, width],
  'attention.v_proj.weight': [width, width],
  'attention.o_proj.weight': [width, width],
  'head.weight': [vocabulary, width],
} as const;

const next = randomNumbers(17);
const tensors: StoredTensor[] = Object.entries(shapes).map(([name, shape]) => ({
  name,
  shape,
  data: Float32Array.from({ length: shape[0] * shape[1] }, next),
}));

const cases: readonly Pattern[] = [
  { window: 6, sinks: 2 },
  { window: 50, sinks: 33 },
  { strided: { stride: 5, local: 3 } },
  { strided: { stride: 70, local: 9 } },
  { fixed: { block: 8, summary: 2 } },
  { fixed: { block: 45, summary: 1 } },
];

/** The definitions of Child et al. 2019 (4.2 and 4.3) and of sinks, key by key. */
function sees({ window, sinks = 0, strided, fixed }: Pattern, position: number, key: number): boolean {
  if (key > position) return false;
  if (key < sinks) return true;
  if (strided) return position - key < strided.local || (position - key) % strided.stride === 0;
  if (fixed) {
    const own = Math.floor(position / fixed.block) === Math.floor(key / fixed.block);
    return own || key % fixed.block >= fixed.block - fixed.summary;
  }
  return window === undefined || position - key < window;
}

/** Probabilities by head and logits, in plain loops over double precision. */
function expected(pattern: Pattern, ids: readonly number[]): { probabilities: number[]; logits: number[] } {
  const data = (name: keyof typeof shapes) =>
    tensors.find((tensor) => tensor.name === name)?.data ?? new Float32Array();
  const row = (name: keyof typeof shapes, index: number) => [
    ...data(name).subarray(index * width, (index + 1) * width),
  ];
  const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
  const times = (name: keyof typeof shapes, x: readonly number[]) =>
    Array.from({ length: shapes[name][0] }, (_, out) => dot(row(name, out), x));
  const stream = ids.map((id, position) => {
    const positional = row('positions.weight', position);
    return row('tokens.weight', id).map((value, i) => value + (positional[i] ?? 0));
  });
  const [queries, keys, values] = (['q', 'k', 'v'] as const).map((name) =>
    stream.map((x) => times(`attention.${name}_proj.weight`, x)),
  ) as [number[][], number[][], number[][]];
  const part = (x: readonly number[], head: number) => x.slice(head * headDim, (head + 1) * headDim);
  const mixed = stream.map(() => new Array<number>(width).fill(0));
  const probabilities: number[] = [];
  for (let head = 0; head < heads; head++) {
    for (const [position, query] of queries.entries()) {
      const scores = keys.map((key, at) =>
        sees(pattern, position, at) ? Math.exp(dot(part(query, head), part(key, head)) / Math.sqrt(headDim)) : 0,
      );
      const total = scores.reduce((sum, score) => sum + score, 0);
      for (const [at, score] of scores.entries()) {
        probabilities.push(score / total);
        for (const [i, value] of part(values[at] ?? [], head).entries()) {
          const target = mixed[position] ?? [];
          target[head * headDim + i] = (target[head * headDim + i] ?? 0) + (score / total) * value;
        }
      }
    }
  }
  const logits = stream.flatMap((x, position) => {
    const out = times('attention.o_proj.weight', mixed[position] ?? []);
    return times(
      'head.weight',
      x.map((value, i) => value + (out[i] ?? 0)),
    );
  });
  return { probabilities, logits };
}

const someIds = (count: number) => Array.from({ length: count }, (_, i) => (i * i + 3 * i) % vocabulary);

describe.each(cases.map((pattern) => [JSON.stringify(pattern), pattern] as const))('%s', (_, pattern) => {
  const checkpoint = writeCheckpoint({ model_type: 'octo-test-patterns', vocab_size: vocabulary, pattern }, tensors);
  afterAll(() => checkpoint.remove());

  async function withModel<T>(isa: string | undefined, use: (model: CausalLanguageModel) => Promise<T>): Promise<T> {
    await using model = await AutoModelForCausalLM.from_pretrained(checkpoint.folder, isa === undefined ? {} : { isa });
    return await use(model);
  }

  const ids = someIds(101);
  const wanted = expected(pattern, ids);

  it.each(testedIsas)('is what its definition says on %s', async (isa) => {
    await withModel(isa, async (model) => {
      const { logits, attentions } = await model.forward({ input_ids: [ids], output_attentions: true });
      const probabilities = attentions?.[0]?.[0]?.data ?? new Float32Array();
      // Scores reach about 20: their float32 error of 1e-6 each is one of probabilities. Logits sum a few dozen such terms of about 1.
      expect(largestDifference(probabilities, Float32Array.from(wanted.probabilities))).toBeLessThan(2e-5);
      expect(largestDifference(logits[0]?.data ?? [], Float32Array.from(wanted.logits))).toBeLessThan(2e-4);
      // What is not seen has no probability at all, what is seen has some.
      const differing = wanted.probabilities.filter((value, at) => (value === 0) !== (probabilities[at] === 0));
      expect(differing).toEqual([]);
    });
  });

  it('gives the same bits alone, in a ragged batch, and step by step', async () => {
    await withModel(undefined, async (model) => {
      const batch = [someIds(7), someIds(300), someIds(1), someIds(64)];
      const together = await model.forward({ input_ids: batch });
      for (const [index, each] of batch.entries()) {
        const alone = (await model.forward({ input_ids: [each] })).logits[0]?.data;
        expect(failures([sameBits(`sequence ${index}`, together.logits[index]?.data, alone)])).toEqual([]);
      }
      using cache = model.createCache();
      const long = someIds(300);
      const rows: number[] = [];
      for (let first = 0; first < long.length; ) {
        const count = first < 260 ? 65 : 1;
        const { logits } = await model.forward({ input_ids: [long.slice(first, first + count)], past: cache });
        rows.push(...(logits[0]?.data ?? []));
        first += count;
      }
      expect(failures([sameBits('steps', Float32Array.from(rows), together.logits[1]?.data)])).toEqual([]);
    });
  });
});

it.each([
  [{ sinks: 2 }, "'sinks'"],
  [{ window: 3, strided: { stride: 4, local: 2 } }, "'window' and 'strided'"],
  [{ strided: { stride: 4, local: 2 }, fixed: { block: 4, summary: 1 } }, "'strided' and 'fixed'"],
])('%j is refused', (pattern, message) => {
  const g = builderOver(headers(shapes));
  const stream = nn.embedding(g, 'tokens', { count: vocabulary, width });
  const error = failure(() =>
    nn.attention(g, 'attention', stream, { heads, headDim, outFeatures: width, ...(pattern as Pattern) }),
  );
  expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining(message)]);
});
