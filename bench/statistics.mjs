/** Medians with their spread: what every timing of the benchmark is reported as. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** `{ median, least, most }` */
export function spread(values) {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/** "1234", "12.3" or "0.0123": three or four digits that mean something. */
export function digits(value) {
  const magnitude = Math.abs(value);
  return magnitude >= 100 ? value.toFixed(0) : magnitude >= 1 ? value.toFixed(1) : value.toPrecision(3);
}

/** Prints rows of cells under a heading row, columns aligned: text to the left, figures to the right. */
export function printTable(heading, rows) {
  const all = [heading, ...rows].map((row) =>
    row.map((cell) => (typeof cell === 'number' ? digits(cell) : String(cell))),
  );
  const widths = heading.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  for (const [index, row] of all.entries()) {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
    );
    console.log(`  ${cells.join('  ')}`.trimEnd());
    if (index === 0) console.log(`  ${widths.map((width) => '-'.repeat(width)).join('  ')}`);
  }
}
