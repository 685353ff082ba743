import { htmlPage, htmlTable } from '../../../ts/visualize/html_page';
import { element, escapeText, printable } from '../../../ts/visualize/markup';
import { numberText, percentText } from '../../../ts/visualize/number_text';
import { svgDocument, svgText } from '../../../ts/visualize/svg_document';
import { painter, table } from '../../../ts/visualize/terminal_text';
import { cells } from '../../../ts/visualize/text_width';
import { hostilePieces } from './fake_tokenizer';
import { elementsOf, parseXml, textOf } from './xml';

test('characters of markup are escaped, and what XML has no place for is shown', () => {
  expect(escapeText(`<b a="1" c='2'>&</b>`)).toBe('&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;&lt;/b&gt;');
  expect(printable('a\u0000b\n\t\u001b\u007f\u0085')).toBe('a\u2400b\u240a\u2409\u241b\u2421\u2426');
  expect(printable('\ud800x\udc00\ufffe\uffff\ud83d\ude00')).toBe('\ufffdx\ufffd\ufffd\ufffd\ud83d\ude00');
  expect(printable('\u202eabc\u2069')).toBe('[U+202E]abc[U+2069]');
});

test('an element has its attributes, without those that are undefined', () => {
  expect(element('rect', { x: 1.006, y: undefined, fill: '"' }, '<b></b>')).toBe(
    '<rect x="1.01" fill="&quot;"><b></b></rect>',
  );
  expect(element('g', {}, ['a', 'b'])).toBe('<g>ab</g>');
});

test.each(hostilePieces)('%j is a text in a picture and on a page, and nothing else', (piece) => {
  const svg = svgDocument({ title: piece, lines: [piece], width: 10, height: 10 }, [svgText(0, 0, piece)]);
  const root = parseXml(svg);
  expect(elementsOf(root, 'text').map(textOf)).toEqual(Array(3).fill(printable(piece)));
  const html = htmlPage({ title: piece, notes: [piece] }, [htmlTable([piece], [[piece]])]);
  expect(html.match(/<(script|svg|!--)/g)).toBeNull();
  expect(html).not.toMatch(/[^\P{Cc}\n]/u);
});

test('pages and pictures load nothing from elsewhere', () => {
  const html = htmlPage({ title: 'T', notes: [], script: 'let a = 1;' }, []);
  expect(html).toContain(
    `content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"`,
  );
  expect(html).not.toMatch(/https?:|src=|href=/);
  expect(html).toContain('prefers-color-scheme: dark');
});

test('numbers as they are told', () => {
  expect([0, 1, -0.031254, 123456, 1234567, -0.00001234, 1e-7, Number.NaN, -Infinity].map(numberText)).toEqual(
    ['0', '1', '-0.03125', '123500', '1.235e+6', '-1.234e-5', '1e-7', 'NaN', '-Infinity'], // biome-ignore format: one line
  );
  expect([0, 0.00001, 0.0123, 1].map(percentText)).toEqual(['0.00 %', '< 0.01 %', '1.23 %', '100.00 %']);
});

test('East Asian signs and emoji take two columns, marks none', () => {
  expect(['abc', '\u4e16\u754c', '\ud83d\ude00', 'e\u0301'].map(cells)).toEqual([3, 4, 2, 1]);
});

test('tables of coloured cells are as wide as they look', () => {
  const paint = painter(true);
  expect(
    table(
      [
        [paint('red', 'ab'), 'c'],
        ['a', paint('dim', 'd')],
      ],
      [0],
    ),
  ).toBe('\x1b[31mab\x1b[39m  c\n a  \x1b[2md\x1b[22m');
  expect(painter(false)('red', 'ab')).toBe('ab');
});
