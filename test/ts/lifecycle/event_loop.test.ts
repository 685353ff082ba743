import { AutoModelForCausalLM } from '../../../ts';
import { randomCheckpoint } from '../random_checkpoint';

/** How often the event loop turns while `work` is under way. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let running = true;
  const turn = () => {
    turns++;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  await work;
  running = false;
  return turns;
}

test('the event loop turns freely while a model loads and reads a prompt', async () => {
  const checkpoint = randomCheckpoint({ hidden_size: 256, intermediate_size: 512, num_hidden_layers: 8 });
  try {
    const loading = AutoModelForCausalLM.from_pretrained(checkpoint.folder);
    expect(await turnsDuring(loading)).toBeGreaterThan(5);
    await using model = await loading;
    const input = Array.from({ length: 2048 }, (_, i) => (i * 7) % 96);
    // If the run held the main thread there would be one turn before it and one after.
    expect(await turnsDuring(model.generate({ input_ids: [input] }, { max_new_tokens: 1 }))).toBeGreaterThan(20);
  } finally {
    checkpoint.remove();
  }
});
