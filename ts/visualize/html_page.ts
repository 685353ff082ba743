import { element, escapeText } from './markup';

/** A page that needs nothing from elsewhere, and may fetch nothing: no text in it can make it. */
const policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

const style = `
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #59636e; --page: #fff; --line: #d0d7de; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --faint: #9aa4b0; --page: #14171c; --line: #30363d; } }
body { margin: 1.5rem auto; padding: 0 1rem; max-width: 80rem; color: var(--ink); background: var(--page); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; } p.note { color: var(--faint); }
figure { margin: 1rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } caption { text-align: left; color: var(--faint); }
th, td { padding: .15rem .7rem .15rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; }
code, .mono { font: 13px/1.7 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
form { display: flex; flex-wrap: wrap; gap: 1rem; } select { font: inherit; }
`;

/**
 * A page by itself.
 * @param content markup @param script runs at the end of the page
 */
export function htmlPage(
  page: {
    readonly title: string;
    readonly notes: readonly string[];
    readonly style?: string;
    readonly script?: string;
  },
  content: readonly string[],
): string {
  const title = escapeText(page.title);
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="generator" content="octoformer">',
    `<title>${title}</title>`,
    `<style>${style}${page.style ?? ''}</style>`,
    '</head>',
    '<body>',
    `<h1>${title}</h1>`,
    ...page.notes.map((note) => element('p', { class: 'note' }, escapeText(note))),
    ...content,
    ...(page.script ? [`<script>${page.script}</script>`] : []),
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

/** Data for a page's script: JSON in which no text can end the element that it stands in. */
export function dataElement(id: string, value: unknown): string {
  const json = JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return `<script type="application/json" id="${id}">${json}</script>`;
}

/** @param numbers columns that hold numbers, flush right */
export function htmlTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  numbers: readonly number[] = [],
): string {
  const row = (name: 'th' | 'td', texts: readonly string[]) =>
    element(
      'tr',
      {},
      texts.map((text, column) =>
        element(name, { class: numbers.includes(column) ? 'number' : undefined }, escapeText(text)),
      ),
    );
  return element('table', {}, [
    element('thead', {}, row('th', head)),
    element(
      'tbody',
      {},
      rows.map((texts) => `${row('td', texts)}\n`),
    ),
  ]);
}
