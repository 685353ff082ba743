import { join } from 'node:path';
import { info } from '../../../ts';
import { OctoformerError } from '../../../ts/binding/error';
import { type Comparison, isWithin, relativeError, worstOf } from './comparison';
import { modelSection } from './report_models';
import { AbsentError, type Candidate } from './report_plan';
import { otherSections } from './report_sections';

/** The comparisons of one column of a row. */
export interface Cell {
  readonly checks: number;
  readonly failed: number;
  /** Whether nothing may differ: texts, ids, bits. */
  readonly exact: boolean;
  /** The largest `relativeError`. */
  readonly error: number;
  /** What is furthest off. */
  readonly worst: Comparison;
}

export interface Row {
  readonly name: string;
  /** `model_type` of a checkpoint. */
  readonly family?: string;
  readonly status: 'passed' | 'failed' | 'unsupported' | 'absent';
  readonly cells: Readonly<Record<string, Cell>>;
  /** Why it isn't supported, isn't there, or could not be compared. */
  readonly reason?: string;
}

export interface Section {
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

export interface Report {
  readonly folder: string;
  readonly isa: string;
  readonly sections: readonly Section[];
}

/** Compares everything in a folder of goldens with what octoformer makes of it. @param onSection gets each section when it is done */
export async function goldensReport(folder: string, onSection: (section: Section) => void): Promise<Report> {
  const sections: Section[] = [];
  for (const { name, columns, candidates } of [modelSection(join(folder, 'models')), ...otherSections(folder)]) {
    const rows: Row[] = [];
    try {
      for (const candidate of candidates()) rows.push(await rowOf(candidate));
    } catch (error) {
      rows.push({ name: 'golden.json', status: 'failed', cells: {}, reason: messageOf(error) }); // can't be read
    }
    const section = { name, columns, rows };
    sections.push(section);
    onSection(section);
  }
  return { folder, isa: info().isa, sections };
}

/** Runs the comparisons of a row. What can't be compared has failed, but for what octoformer says that it can't do. */
export async function rowOf({ name, family, compare }: Candidate): Promise<Row> {
  const found = new Map<string, Comparison[]>();
  let about: Pick<Row, 'name' | 'family'> = { name };
  const cells = () => Object.fromEntries([...found].map(([column, comparisons]) => [column, cellOf(comparisons)]));
  try {
    if (family) about = { name, family: family() };
    for await (const [column, comparisons] of compare()) {
      if (comparisons.length > 0) found.set(column, [...(found.get(column) ?? []), ...comparisons]);
    }
  } catch (error) {
    const unsupported = OctoformerError.is(error) && error.code.startsWith('UNSUPPORTED');
    const status = error instanceof AbsentError ? 'absent' : unsupported ? 'unsupported' : 'failed';
    return { ...about, status, cells: cells(), reason: messageOf(error) };
  }
  if (found.size === 0) return { ...about, status: 'failed', cells: {}, reason: 'there was nothing to compare' };
  const failed = [...found.values()].flat().some((comparison) => !isWithin(comparison));
  return { ...about, status: failed ? 'failed' : 'passed', cells: cells() };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function cellOf(comparisons: readonly Comparison[]): Cell {
  const worst = worstOf(comparisons);
  return {
    checks: comparisons.length,
    failed: comparisons.filter((comparison) => !isWithin(comparison)).length,
    exact: comparisons.every(({ allowed }) => allowed === 0),
    error: relativeError(worst),
    worst,
  };
}
