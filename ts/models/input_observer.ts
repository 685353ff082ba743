import type { NativeInputStatistics } from '../binding/native';
import { type ModuleNode, walkModules } from '../graph/module_tree';
import type { ModuleCalibration } from '../quantization/calibration';

/** Sums of what the linear layers of a model read. */
interface InputSums {
  rows: number;
  readonly entries: Float64Array;
  readonly largest: Float32Array;
}

/** What a linear layer read while it was observed. */
export interface ObservedInputs {
  /** Token rows. */
  readonly rows: number;
  /** By input feature: rows whose entry has at least the threshold's magnitude. */
  readonly entries: Float64Array;
  /** By input feature: the largest magnitude; NaN once one was seen. */
  readonly largest: Float32Array;
}

/** Collects what the linear layers of a model read, run by run. */
export class InputObserver {
  readonly #sums = new Map<number, InputSums>();

  /** @param threshold entries of at least this magnitude are counted */
  constructor(readonly threshold: number) {}

  add(inputs: readonly NativeInputStatistics[]): void {
    for (const { weight, rows, entries, largest } of inputs) {
      const sums = this.#sums.get(weight);
      if (!sums) {
        this.#sums.set(weight, { rows, entries: entries.slice(), largest: largest.slice() });
        continue;
      }
      sums.rows += rows;
      for (let feature = 0; feature < entries.length; feature++) {
        sums.entries[feature] = (sums.entries[feature] ?? 0) + (entries[feature] ?? 0);
        sums.largest[feature] = Math.max(sums.largest[feature] ?? 0, largest[feature] ?? 0);
      }
    }
  }

  /** By the path of each linear layer of a tree of modules that has read something, in the tree's order. */
  inputs(tree: ModuleNode): ReadonlyMap<string, ObservedInputs> {
    const found = new Map<string, ObservedInputs>();
    for (const { path, kind, parameters } of walkModules(tree)) {
      const weight = parameters.find(({ name }) => name === 'weight')?.weight;
      const sums = weight === undefined ? undefined : this.#sums.get(weight);
      if (sums && kind !== 'Embedding') found.set(path, sums); // a table that is a layer too reads indices
    }
    return found;
  }

  /**
   * By the path of each linear layer of a tree of modules.
   * @param minimumShare of the tokens that an outlier feature is an outlier for at least
   */
  modules(tree: ModuleNode, minimumShare: number): Record<string, ModuleCalibration> {
    const found: Record<string, ModuleCalibration> = {};
    for (const [path, sums] of this.inputs(tree)) {
      const features = [...sums.entries.keys()].filter((feature) => {
        const entries = sums.entries[feature] ?? 0;
        return entries > 0 && entries >= minimumShare * sums.rows;
      });
      found[path] = {
        outlierFeatures: features,
        outlierShare: sums.entries.reduce((sum, value) => sum + value, 0) / (sums.rows * sums.entries.length),
        largestInput: sums.largest.reduce((most, value) => Math.max(most, value), 0),
      };
    }
    return found;
  }
}
