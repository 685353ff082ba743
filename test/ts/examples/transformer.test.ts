import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModelForSeq2SeqLM } from '../../../ts';
import { base, parameterTable, transformer } from '../../../ts/examples/transformer';
import { init } from '../../../ts/models/init';
import { readSafetensors } from '../safetensors';

const tiny = { ...base, vocab_size: 17, d_model: 8, num_layers: 2, num_heads: 2, d_ff: 12 };
const folder = mkdtempSync(join(tmpdir(), 'octoformer-transformer-'));
beforeAll(() => init(tiny, folder, { seed: 3 }));
afterAll(() => rmSync(folder, { recursive: true }));

type Matrix = number[][];

/** The paper's formulas in plain loops over double precision. */
class PlainTransformer {
  readonly #tensors = readSafetensors(join(folder, 'model.safetensors'));

  logits(source: readonly number[], target: readonly number[]): Matrix {
    const memory = this.#stack('encoder', source);
    return this.#stack('decoder', target, memory).map((row) => this.#times('embedding', row));
  }

  #rows(name: string): Matrix {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new Error(`there is no tensor ${name}`);
    const [rows = 0, columns = 1] = tensor.shape.length === 1 ? [1, tensor.shape[0]] : tensor.shape;
    return Array.from({ length: rows }, (_, row) => [...tensor.data.slice(row * columns, (row + 1) * columns)]);
  }

  #times(name: string, x: readonly number[]): number[] {
    return this.#rows(`${name}.weight`).map((row) => row.reduce((sum, weight, k) => sum + weight * (x[k] ?? 0), 0));
  }

  #stack(name: 'encoder' | 'decoder', ids: readonly number[], memory?: Matrix): Matrix {
    const table = this.#rows('embedding.weight');
    let x = ids.map((id, position) =>
      (table[id] ?? []).map((value, k) => {
        const angle = position / 10_000 ** ((k - (k % 2)) / tiny.d_model);
        return value * Math.sqrt(tiny.d_model) + (k % 2 === 0 ? Math.sin(angle) : Math.cos(angle));
      }),
    );
    for (let index = 0; index < tiny.num_layers; index++) {
      const path = `${name}.layers.${index}`;
      x = this.#addAndNorm(
        `${path}.self_attention`,
        x,
        this.#attend(`${path}.self_attention`, x, x, memory !== undefined),
      );
      if (memory) {
        const mixed = this.#attend(`${path}.encoder_attention`, x, memory, false);
        x = this.#addAndNorm(`${path}.encoder_attention`, x, mixed);
      }
      x = this.#addAndNorm(
        `${path}.feed_forward`,
        x,
        x.map((row) => this.#network(`${path}.feed_forward`, row)),
      );
    }
    return x;
  }

  #network(path: string, x: readonly number[]): number[] {
    const bias = (name: string) => this.#rows(`${path}.${name}.bias`)[0] ?? [];
    const inner = this.#times(`${path}.up_proj`, x).map((value, k) => Math.max(0, value + (bias('up_proj')[k] ?? 0)));
    return this.#times(`${path}.down_proj`, inner).map((value, k) => value + (bias('down_proj')[k] ?? 0));
  }

  #attend(path: string, x: Matrix, memory: Matrix, causal: boolean): Matrix {
    const query = x.map((row) => this.#times(`${path}.q_proj`, row));
    const key = memory.map((row) => this.#times(`${path}.k_proj`, row));
    const value = memory.map((row) => this.#times(`${path}.v_proj`, row));
    const size = tiny.d_model / tiny.num_heads;
    const mixed = query.map((one, position) => {
      const heads = Array.from({ length: tiny.num_heads }, (_, head) => {
        const part = (row: readonly number[]) => row.slice(head * size, (head + 1) * size);
        const seen = key.slice(0, causal ? position + 1 : key.length);
        const weights = seen.map((other) => {
          const other_part = part(other);
          return Math.exp(part(one).reduce((sum, q, k) => sum + q * (other_part[k] ?? 0), 0) / Math.sqrt(size));
        });
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        return Array.from({ length: size }, (_, k) =>
          weights.reduce((sum, weight, at) => sum + (weight / total) * (part(value[at] ?? [])[k] ?? 0), 0),
        );
      });
      return heads.flat();
    });
    return mixed.map((row) => this.#times(`${path}.o_proj`, row));
  }

  #addAndNorm(path: string, x: Matrix, added: Matrix): Matrix {
    const [weight = []] = this.#rows(`${path}_norm.weight`);
    const [bias = []] = this.#rows(`${path}_norm.bias`);
    return x.map((row, position) => {
      const sum = row.map((value, k) => value + (added[position]?.[k] ?? 0));
      const mean = sum.reduce((total, value) => total + value, 0) / sum.length;
      const variance = sum.reduce((total, value) => total + (value - mean) ** 2, 0) / sum.length;
      return sum.map((value, k) => ((value - mean) / Math.sqrt(variance + 1e-6)) * (weight[k] ?? 0) + (bias[k] ?? 0));
    });
  }
}

it('has the parameters of the base model of the paper', () => {
  const table = parameterTable(base);
  const [d, inner, layers] = [base.d_model, base.d_ff, base.num_layers];
  const network = 2 * d * inner + inner + d;
  const norm = 2 * d;
  const encoder = layers * (4 * d * d + network + 2 * norm);
  const decoder = layers * (8 * d * d + network + 3 * norm);
  const total = base.vocab_size * d + encoder + decoder;
  expect(table.split('\n').at(-1)).toMatch(new RegExp(`^total +${total.toLocaleString('en-US')}$`));
  // Table 3 says 65 million; the size of its vocabulary is told as "about 37000" (section 5.1).
  expect(Math.abs(total - 65e6)).toBeLessThan(2e6);
  expect(table).toMatch(/^embedding +18,944,000$/m);
  expect(table.split('\n')).toHaveLength(1 + 4 + 6 + 1); // embedding, branches with their norms, total
});

it('computes what the paper says', async () => {
  expect(transformer.model_type).toBe('transformer');
  await using model = await AutoModelForSeq2SeqLM.from_pretrained(folder);
  const plain = new PlainTransformer();
  const pairs = [
    { source: [3, 1, 4, 1, 5, 9, 2, 6], target: [0, 2, 7, 1, 8] },
    { source: [16], target: [0] },
  ];
  const { logits } = await model.forward({
    input_ids: pairs.map(({ source }) => source),
    decoder_input_ids: pairs.map(({ target }) => target),
  });
  for (const [index, { source, target }] of pairs.entries()) {
    const expected = plain.logits(source, target).flat();
    expect(logits[index]?.dims).toEqual([target.length, tiny.vocab_size]);
    // Values below 10 after four layers of sums of a dozen float32 numbers.
    for (const [place, value] of expected.entries()) expect(logits[index]?.data[place]).toBeCloseTo(value, 4);
  }
});

it('writes sequences', async () => {
  await using model = await AutoModelForSeq2SeqLM.from_pretrained(folder);
  const { sequences } = await model.generate(
    { input_ids: [[3, 1, 4]] },
    { max_new_tokens: 6, num_beams: 3, eos_token_id: null },
  );
  expect(sequences[0]).toHaveLength(7);
  expect(sequences[0]?.[0]).toBe(base.decoder_start_token_id);
});
