import { join } from 'node:path';
import { failures } from '../goldens/comparison';
import { compareAnswer, goldenPipelines, openGolden } from '../goldens/pipeline';
import { goldensFolder } from '../goldens_folder';

const folders = [join(__dirname, '..', '..', 'fixtures'), goldensFolder() ?? ''];
const goldens = folders.flatMap((folder) => goldenPipelines(join(folder, 'pipelines')));

for (const golden of goldens) {
  describe(`${golden.task}: ${golden.path}`, () => {
    let opened: Awaited<ReturnType<typeof openGolden>>;
    beforeAll(async () => {
      opened = await openGolden(golden);
    });
    afterAll(() => opened?.dispose());

    it.each(golden.cases.map((one) => [JSON.stringify([one.input, one.options]).slice(0, 90), one] as const))(
      '%s',
      async (_, one) => {
        expect(failures([await compareAnswer(opened.run, one)])).toEqual([]);
      },
    );
  });
}
