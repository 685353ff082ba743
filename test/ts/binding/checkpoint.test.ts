import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { addon, failure, file, folder, tiny } from './tiny_program';

test('info tells what the build and the machine have', () => {
  const info = addon.info();
  expect(info.isas).toContain(info.isa);
  expect(info.isas).toContain('scalar');
  expect(info.threads).toBeGreaterThan(0);
  expect(info.cuda).toEqual({ available: false, reason: expect.stringContaining('CUDA'), devices: [] });
});

test('a checkpoint lists its tensors and gives their rows', async () => {
  const checkpoint = await addon.openCheckpoint([file]);
  expect(checkpoint.format).toBe('safetensors');
  expect(checkpoint.tensors[0]).toEqual({ name: 'embed', dtype: 'F32', shape: [11, 6], bytes: 264, file });
  expect(checkpoint.tensors).toBe(checkpoint.tensors);
  expect(checkpoint.metadata).toEqual({});
  expect(checkpoint.readRows('embed', 2, 2)).toEqual(tiny.tensors[0]?.data.slice(12, 24));
  expect(checkpoint.readRows('embed', 11, 0)).toHaveLength(0);
  expect(await failure(() => checkpoint.readRows('embed', 10, 2))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(await failure(() => checkpoint.readRows('embed', 0.5, 2))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(await failure(() => checkpoint.readRows('x', 0, 1))).toMatchObject({ code: 'MISSING_WEIGHT' });
  checkpoint.dispose();
  checkpoint.dispose();
  expect(await failure(() => checkpoint.tensors)).toMatchObject({ code: 'DISPOSED' });
  expect(await failure(() => addon.openCheckpoint([`${file}.not`]))).toMatchObject({ code: 'NOT_FOUND' });
  expect(await failure(() => addon.openCheckpoint([]))).toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('metadata keys are data, whatever they are called', async () => {
  const odd = path.join(folder, 'odd.safetensors');
  const header = Buffer.from('{"__metadata__":{"__proto__":"a","format":"pt"}}');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(odd, Buffer.concat([length, header]));
  const { metadata } = await addon.openCheckpoint([odd]);
  expect(Object.entries(metadata)).toEqual([
    ['__proto__', 'a'],
    ['format', 'pt'],
  ]);
});

test('loading tells progress, bytes by form, and what is wrong', async () => {
  const checkpoint = await addon.openCheckpoint([file]);
  const options = { threads: 1, isa: '' };
  const reports: [number, number][] = [];
  const text = JSON.stringify(tiny.program);
  const model = await addon.loadModel(checkpoint, text, options, null, (loaded, total) =>
    reports.push([loaded, total]),
  );
  const bytes = tiny.tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
  expect(reports.at(-1)).toEqual([bytes, bytes]);
  expect(model.memory().weights).toBeGreaterThanOrEqual(bytes);
  expect(model.memory().weights_by_form).toEqual({ float32: model.memory().weights });
  expect(model.weightInfo(0).form).toBe('float32');
  expect(await failure(() => model.weightInfo(99))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  model.dispose();

  const fails = (program: string, more: Partial<typeof options> = {}) =>
    failure(() => addon.loadModel(checkpoint, program, { ...options, ...more }, null, null));
  expect((await fails('{')).code).toBe('INVALID_ARGUMENT');
  expect((await fails(text.replace('"attention"', '"retention"'))).message).toContain("unknown op 'retention'");
  expect((await fails(text.replaceAll('"tensor":"head"', '"tensor":"tail"'))).code).toBe('MISSING_WEIGHT');
  expect((await fails(text, { isa: 'mmx' })).code).toBe('INVALID_ARGUMENT');
  expect((await fails(text, { threads: -1 })).code).toBe('INVALID_ARGUMENT');
  const flag = new addon.AbortFlag();
  flag.abort();
  expect((await failure(() => addon.loadModel(checkpoint, text, options, flag, null))).code).toBe('ABORTED');
  expect(
    (
      await failure(() =>
        addon.loadModel(checkpoint, text, options, null, () => {
          throw Object.assign(new Error('mine'), { code: 'MINE' });
        }),
      )
    ).code,
  ).toBe('MINE');
  checkpoint.dispose();
  expect((await fails(text)).code).toBe('DISPOSED');
});
