import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nn } from '../../../ts';

const script = join(__dirname, '..', '..', '..', 'scripts', 'measure-loading.mjs');

interface Measured {
  readonly weights: number;
  readonly peak: number;
  readonly resident: number;
  readonly weightsByForm: Readonly<Record<string, number>>;
}

// Pages of mapped files count as the system's cache; what is a process's own is told by Linux only.
const describeOnLinux = process.platform === 'linux' ? describe : describe.skip;

describeOnLinux('memory while a model is loaded in int8, layer by layer', () => {
  let folder = '';
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  // Matrices in both orientations: rows of transposed ones can't be read one by one.
  it.each([
    [{ model_type: 'gpt2', n_embd: 768, n_layer: 5, n_head: 12, n_positions: 64, vocab_size: 500 }, 4 * 768 * 3072],
    [
      {
        model_type: 'llama',
        hidden_size: 768,
        intermediate_size: 3072,
        num_hidden_layers: 4,
        num_attention_heads: 12,
        vocab_size: 500,
        tie_word_embeddings: true,
      },
      4 * 768 * 3072,
    ],
  ])(
    'no more than the int8 weights, the largest tensor and a tenth: %j',
    async (config, largestTensor) => {
      folder = mkdtempSync(join(tmpdir(), 'octoformer-loading-'));
      await nn.init(config, folder);
      // Two threads: each has a panel of rows of its own, which is little beside a real model on any number of them.
      const options = { threads: 2, quantization: { scheme: 'llm.int8', embeddings: true } };
      const child = spawnSync(process.execPath, [script, folder, JSON.stringify(options)], { encoding: 'utf8' });
      expect([child.status, child.stderr]).toEqual([0, '']);
      const { weights, peak, resident, weightsByForm } = JSON.parse(child.stdout) as Measured;
      expect(weightsByForm.int8).toBeGreaterThan(0.95 * weights);
      expect(peak).toBeGreaterThan(0.9 * weights); // it was measured at all
      expect(peak).toBeLessThanOrEqual(1.1 * weights + largestTensor);
      // The checkpoint's float32 takes four times as much as int8, and leaves memory tensor by tensor.
      expect(resident).toBeLessThan(3 * weights);
    },
    60_000,
  );
});
