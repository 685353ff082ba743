import { info } from '../../ts';

/** The ISAs that a test goes through: the one that OCTOFORMER_ISA names (`npm test` runs such tests once for each), else all of this machine. */
export const testedIsas: readonly string[] = process.env.OCTOFORMER_ISA ? [info().isa] : info().isas;
