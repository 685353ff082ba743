import type { visualize } from '../../../ts';
import { attentionHtml } from '../../../ts/visualize/attention_html';
import { attentionSvg } from '../../../ts/visualize/attention_svg';
import { colorOf, colorStep, hexColor } from '../../../ts/visualize/color_scale';
import type { VisualToken } from '../../../ts/visualize/token';
import { FakeDocument } from './fake_document';
import { elementById, elementsOf, parseXml } from './xml';

const token = (id: number): VisualToken => ({ id, piece: `t${id}`, text: '', start: 0, end: 0, special: false });
const tokens = [token(0), token(1)];

/** Two layers, of two heads and of one. */
const self: visualize.AttentionPart = {
  name: 'self',
  queries: tokens,
  keys: tokens,
  layers: 2,
  heads: [2, 1],
  probabilities: [
    [Float32Array.of(1, 0, 0.25, 0.75), Float32Array.of(1, 0, 0.5, 0.5)],
    [Float32Array.of(1, 0, 0.0625, 0.9375)],
  ],
};
const data: visualize.AttentionData = {
  parts: [
    self,
    {
      ...self,
      name: 'cross',
      keys: [...tokens, token(2)],
      probabilities: [
        [Float32Array.of(0, 0, 1, 1, 0, 0), Float32Array.of(0, 1, 0, 0, 1, 0)],
        [Float32Array.of(1, 0, 0, 0, 0, 1)],
      ],
    },
  ],
  choice: { part: 'self', layer: 1, head: 'mean' },
  columns: 80,
};

function open() {
  const page = new FakeDocument();
  page.run(attentionHtml(data));
  return page;
}

const fills = (page: FakeDocument, part = 'self') =>
  page.getElementById(`${part}-cells`).children.map(({ attributes }) => attributes.fill);
const pick = (page: FakeDocument, name: 'part' | 'layer' | 'head', value: string) => {
  const select = page.getElementById(`pick-${name}`);
  select.value = value;
  select.fire('change');
};

test('the script draws what the picture by itself shows, to the byte of a probability', () => {
  const page = open();
  const rects = page.getElementById('self-cells').children.map(({ attributes }) => attributes);
  const drawn = elementsOf(elementById(parseXml(attentionSvg(data)), 'attention-cells'), 'rect');
  expect(rects).toEqual(
    drawn.map(({ attributes }) => ({ ...attributes, x: expect.stringMatching(new RegExp(`^${attributes.x}`)) })),
  );
  expect(page.getElementById('self-choice').textContent).toBe('layer 1, mean of all heads');
  expect([page.getElementById('map-self').hidden, page.getElementById('map-cross').hidden]).toEqual([false, true]);
  expect(page.getElementById('controls').hidden).toBe(false);
});

test('layers, heads and parts can be picked; what a layer does not have becomes another', () => {
  const page = open();
  const options = (name: string) => page.getElementById(`pick-${name}`).children.map(({ value }) => value);
  expect([options('part'), options('layer'), options('head')]).toEqual([
    ['self', 'cross'],
    ['0', '1'],
    ['mean', '0'],
  ]);
  pick(page, 'layer', '0');
  expect(options('head')).toEqual(['mean', '0', '1']);
  // The page has a byte of the square root.
  const color = (probability: number) => hexColor(colorStep(Math.round(255 * Math.sqrt(probability)) / 255));
  // The mean of 0.25 and 0.5, and of 0.75 and 0.5.
  expect(fills(page)).toEqual([hexColor(0), color(1), color(0.375), color(0.625)]);
  pick(page, 'head', '1');
  expect(fills(page)).toEqual([hexColor(0), color(1), color(0.5)]); // neighbours of one colour are one rectangle
  expect(page.getElementById('self-choice').textContent).toBe('layer 0, head 1');
  pick(page, 'layer', '1');
  expect(page.getElementById('self-choice').textContent).toBe('layer 1, head 0');
  pick(page, 'part', 'cross');
  expect([page.getElementById('map-self').hidden, page.getElementById('map-cross').hidden]).toEqual([true, false]);
  expect(page.getElementById('cross-choice').textContent).toBe('layer 1, head 0');
  expect(fills(page, 'cross')).toEqual([hexColor(0), color(1), color(1)]);
});

test('the pointer tells tokens and their number', () => {
  const page = open();
  const { parts } = JSON.parse(page.getElementById('attention-data').textContent) as {
    parts: { width: number; cell: { x: number; y: number; width: number } }[];
  };
  const [part] = parts;
  const picture = page.getElementById('self');
  picture.width = (part?.width ?? 0) / 2; // the browser shows it half as large
  const at = (row: number, column: number) => {
    const { x = 0, y = 0, width = 0 } = part?.cell ?? {};
    picture.fire('pointermove', { clientX: (x + (column + 0.5) * width) / 2, clientY: (y + (row + 0.5) * width) / 2 });
    return page.getElementById('readout').textContent;
  };
  // A byte of the square root: 0.0625 is (64 / 255) squared, give or take half a step.
  expect(at(1, 0)).toBe('t1 \u2192 t0: 0.063');
  expect(at(0, 0)).toBe('t0 \u2192 t0: 1.0');
  expect(at(5, 0)).toBe('t0 \u2192 t0: 1.0'); // beside the cells nothing changes
});

test('all heads are seen at once, and one can be taken from there', () => {
  const page = open();
  const overview = page.getElementById('overview');
  expect([overview.width, overview.height]).toEqual([2 * 31, 2 * 31]);
  expect(overview.images.map(({ x, y }) => [x, y])).toEqual([
    [0, 0],
    [31, 0],
    [0, 31],
  ]);
  const points = overview.images[0]?.data ?? [];
  const pointAt = (row: number, column: number) => points.slice(4 * (28 * row + column), 4 * (28 * row + column) + 4);
  const color = (probability: number) => {
    const { red, green, blue } = colorOf(colorStep(Math.sqrt(probability)));
    return [red, green, blue, 255];
  };
  expect([pointAt(0, 0), pointAt(13, 13), pointAt(13, 14), pointAt(14, 13), pointAt(27, 27)]).toEqual(
    [1, 1, 0, 0.25, 0.75].map(color),
  );
  overview.fire('pointermove', { offsetX: 40, offsetY: 5 });
  expect(page.getElementById('readout').textContent).toBe('layer 0, head 1');
  overview.fire('click', { offsetX: 40, offsetY: 5 });
  expect(page.getElementById('self-choice').textContent).toBe('layer 0, head 1');
  overview.fire('click', { offsetX: 40, offsetY: 40 }); // the second layer has no second head
  expect(page.getElementById('self-choice').textContent).toBe('layer 0, head 1');
});
