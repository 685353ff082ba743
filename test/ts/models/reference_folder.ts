import { basename, join } from 'node:path';
import { modelType, readJson } from './golden_folder';

/** What every golden.json says of its inputs. */
interface Inputs<Input> {
  readonly single: Input;
  readonly batch: readonly Input[];
  readonly long?: Input;
}

/** A checkpoint with reference results beside it, of inputs that golden.json (a `File`) gives. */
export class ReferenceFolder<Input, File extends Inputs<Input>> {
  readonly name: string;
  readonly golden: File;
  readonly modelType: string;

  constructor(readonly folder: string) {
    this.name = basename(folder);
    this.golden = readJson<File>(join(folder, 'golden.json'));
    this.modelType = modelType(folder);
  }

  /** All inputs by name. */
  get inputs(): ReadonlyMap<string, Input> {
    const { single, batch, long } = this.golden;
    return new Map([
      ['single', single],
      ...batch.map((input, index): [string, Input] => [`batch.${index}`, input]),
      ...(long ? [['long', long] as const] : []),
    ]);
  }
}
