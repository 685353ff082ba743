import { type AttentionData, chosenPart, describeChoice, headMap, partTitles } from './attention_data';
import { colorStep, isLight, probabilityShare, terminalColor } from './color_scale';
import { poolLargest } from './pooling';
import { painter } from './terminal_text';
import { cells } from './text_width';
import { groupLabels } from './token';

/** Characters of a cell. */
const cellWidth = 2;
const mostRows = 64;

/**
 * The chosen layer and head as a table of tenths on colours: `3` is a probability of 0.25 to 0.35, a dot one below 0.05. Columns are numbered as
 * the rows are, since their labels find no place.
 */
export function attentionAnsi(data: AttentionData): string {
  const paint = painter(true);
  const part = chosenPart(data);
  const map = headMap(part, data.choice);
  // Rows have the label and the number of their token, which columns are called by.
  const digits = String(Math.max(map.rows, map.columns) - 1).length;
  const labelled = (labels: readonly string[], step: number) => {
    const width = Math.max(...labels.map(cells), 0);
    return labels.map((label, row) => {
      const space = ' '.repeat(width - cells(label));
      return `${space}${label} ${String(row * step).padStart(digits)} `;
    });
  };
  const widest = Math.max(...groupLabels(part.queries, Math.ceil(map.rows / mostRows)).map(cells), 0) + digits + 2;
  const room = Math.max(8, Math.floor((data.columns - widest) / cellWidth));
  const pooled = poolLargest(map, mostRows, room);
  const labels = labelled(groupLabels(part.queries, pooled.rowStep), pooled.rowStep);
  const lines = labels.map((label, row) => {
    const values = pooled.values.subarray(row * pooled.columns, (row + 1) * pooled.columns);
    return label + Array.from(values, coloredCell).join('');
  });
  const steps = pooled.rowStep * pooled.columnStep;
  return [
    paint('bold', `${partTitles[part.name]}: ${describeChoice(data.choice)}`),
    paint('dim', 'rows attend to columns; digits are tenths'),
    ...(steps > 1 ? [paint('dim', `a cell is the largest of ${pooled.rowStep} x ${pooled.columnStep} tokens`)] : []),
    paint('dim', ' '.repeat(cells(labels[0] ?? '')) + columnNumbers(pooled.columns, pooled.columnStep)),
    ...lines,
    ...(part.keys === part.queries ? [] : keyLines(groupLabels(part.keys, pooled.columnStep), pooled.columnStep)),
  ].join('\n');
}

/** Every fifth column's number, where there is place for it. */
function columnNumbers(columns: number, step: number): string {
  let line = '';
  for (let column = 0; column < columns; column += 5)
    line += `${' '.repeat(cellWidth - 1)}${column * step}`.padEnd(5 * cellWidth);
  return line.trimEnd();
}

/** What columns stand for where they are other tokens than the rows. */
function keyLines(labels: readonly string[], step: number): string[] {
  return ['columns:', ...labels.map((label, column) => `  ${column * step} ${label}`)];
}

function coloredCell(probability: number): string {
  const step = colorStep(probabilityShare(probability));
  const ink = isLight(step) ? 16 : 231; // black and white of the same 256 colours
  const tenths = Math.round(probability * 10);
  const sign = tenths === 0 ? '.' : tenths >= 10 ? '#' : String(tenths);
  return `\x1b[48;5;${terminalColor(step)};38;5;${ink}m${sign.padStart(cellWidth)}\x1b[0m`;
}
