import { AutoModelForCausalLM } from '../../../ts';
import { randomCheckpoint } from '../random_checkpoint';

test('200 rounds of load, generate, dispose leave the resident memory flat', async () => {
  // 3 MB of weights: a leak of the weights of every round would show as 300 MB over the second half, of the arena
  // or the cache as 50 MB; the allocator's and V8's own noise stays under 24 MB.
  const checkpoint = randomCheckpoint({ hidden_size: 192, intermediate_size: 384, num_hidden_layers: 2 });
  const round = async () => {
    const model = await AutoModelForCausalLM.from_pretrained(checkpoint.folder);
    await model.generate({ input_ids: [[1, 2, 3, 4]] }, { max_new_tokens: 4, eos_token_id: null });
    await model.dispose();
  };
  const resident = () => {
    globalThis.gc?.();
    return process.memoryUsage().rss;
  };
  try {
    for (let i = 0; i < 100; i++) await round();
    const before = resident();
    for (let i = 0; i < 100; i++) await round();
    expect(resident() - before).toBeLessThan(24 * 2 ** 20);
  } finally {
    checkpoint.remove();
  }
}, 120_000);
