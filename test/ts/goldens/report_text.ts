import { table } from '../../../ts/cli/terminal';
import type { Cell, Report, Row, Section } from './report';

/** A section as a table: a row each, in every column the largest error over tolerance. */
export function sectionText({ name, columns, rows }: Section): string {
  if (rows.length === 0) return `${name}: not in this folder\n`;
  const several = columns.length > 1;
  const head = [name, ...(several ? ['family'] : []), ...columns, 'checks', ''];
  const body = rows.map((row) => [
    row.name,
    ...(several ? [row.family ?? ''] : []),
    ...columns.map((column) => cellText(row.cells[column])),
    String(Object.values(row.cells).reduce((sum, { checks }) => sum + checks, 0)),
    statusText(row),
  ]);
  return `${table([head, ...body], [...head.keys()].slice(several ? 2 : 1, -1))}\n`;
}

/** `same` where nothing may differ and nothing does, else the error: 1 is all that is allowed. */
function cellText(cell: Cell | undefined): string {
  if (!cell) return '-';
  if (cell.exact) return cell.failed === 0 ? 'same' : `${cell.failed} differ`;
  return cell.error >= 100 || cell.error === 0 ? String(cell.error) : cell.error.toPrecision(2);
}

function statusText({ status, reason, cells }: Row): string {
  if (status === 'passed') return 'ok';
  if (status === 'unsupported') return `NOT SUPPORTED: ${reason?.split(';')[0]}`; // what follows tells what there is
  if (status === 'absent') return `not compared: ${reason}`;
  const failed = Object.entries(cells).filter(([, cell]) => cell.failed > 0);
  const worst = failed.map(
    ([
      ,
      {
        worst: { name, detail, difference, allowed },
      },
    ]) => (detail === undefined ? `${name} off by ${difference}, allowed ${allowed}` : `${name}: ${detail}`),
  );
  return `FAILED: ${[...worst, ...(reason === undefined ? [] : [reason])].join('; ')}`;
}

/** What it comes to: `41 passed, 0 failed, 2 not supported (models t5, bart)`. */
export function summaryText({ folder, isa, sections }: Report): string {
  const rows = sections.flatMap((section) => section.rows.map((row) => ({ section: section.name, row })));
  const named = (status: Row['status'], words: string) => {
    const found = rows.filter(({ row }) => row.status === status);
    if (found.length === 0) return [];
    return [`${found.length} ${words} (${found.map(({ section, row }) => `${section} ${row.name}`).join(', ')})`];
  };
  const passed = rows.filter(({ row }) => row.status === 'passed').length;
  const failed = named('failed', 'failed');
  const parts = [
    `${passed} passed`,
    ...(failed.length > 0 ? failed : ['0 failed']),
    ...named('unsupported', 'not supported'),
    ...named('absent', 'not compared'),
  ];
  return `${folder} on ${isa}: ${parts.join(', ')}\n`;
}

/** Whether everything that was compared is within tolerance. */
export function isPassed({ sections }: Report): boolean {
  return sections.every(({ rows }) => rows.every(({ status }) => status !== 'failed'));
}
