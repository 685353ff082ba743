import { join } from 'node:path';
import { failures } from '../goldens/comparison';
import { compareGguf, ggufCases } from '../goldens/gguf';
import { goldensFolder } from '../goldens_folder';

const goldens = goldensFolder();
const cases = [
  ...ggufCases(join(__dirname, '..', '..', 'fixtures', 'gguf')),
  ...(goldens ? ggufCases(join(goldens, 'gguf')) : []),
];

it('there are files of several types', () => {
  expect(cases.map((one) => one.file)).toEqual(expect.arrayContaining(['llama-f32.gguf', 'llama-q8_0.gguf']));
});

it.each(cases.map((one) => [one.path, one] as const))("%s gives the reference's values and tokens", async (_, one) => {
  expect(failures(await compareGguf(one))).toEqual([]);
});
