import { join } from 'node:path';
import { openCheckpoint } from '../../../ts/models/open_checkpoint';

const file = (name: string) => join(__dirname, '../../fixtures/models', name, 'model.safetensors');

it('gives those who ask at the same time one checkpoint, until the last has left', async () => {
  const [first, second, other] = await Promise.all([
    openCheckpoint([file('llama-chat')]),
    openCheckpoint([file('llama-chat')]),
    openCheckpoint([file('gpt2')]),
  ]);
  expect(second.checkpoint).toBe(first.checkpoint);
  expect(other.checkpoint).not.toBe(first.checkpoint);
  first.release();
  expect(second.checkpoint.tensors.length).toBeGreaterThan(0);
  second.release();
  other.release();
  expect(() => second.checkpoint.tensors).toThrow('disposed');
  const again = await openCheckpoint([file('llama-chat')]);
  expect(again.checkpoint).not.toBe(first.checkpoint);
  expect(again.checkpoint.tensors.length).toBeGreaterThan(0);
  again.release();
});

it('tells everybody what is wrong, and tries again the next time', async () => {
  const missing = [file('no-such-model')];
  for (const found of await Promise.allSettled([openCheckpoint(missing), openCheckpoint(missing)]))
    expect(found).toMatchObject({ status: 'rejected', reason: { code: 'NOT_FOUND' } });
  await expect(openCheckpoint(missing)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
