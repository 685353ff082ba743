/**
 * Runs in the page of attention: draws the layer and head that are picked, all of them small, and tells the number under the pointer. Plain
 * JavaScript, since it is a text here; what it reads is `PageData` of attention_html.ts. It makes elements and texts, never markup.
 */
export const attentionScript = String.raw`
(() => {
  'use strict';
  const find = (id) => document.getElementById(id);
  const { parts, colors, choice } = JSON.parse(find('attention-data').textContent);
  const pickers = { part: find('pick-part'), layer: find('pick-layer'), head: find('pick-head') };
  const overview = find('overview');
  const svgNames = 'http://www.w3.org/2000/svg';
  const [thumb, gap] = [28, 3];
  const picked = { ...choice };

  for (const part of parts) part.bytes = Uint8Array.from(atob(part.values), (character) => character.charCodeAt(0));
  const current = () => parts.find(({ name }) => name === picked.part);

  /** Shares of the scale of colours of one head, or of the mean of a layer's heads. */
  function sharesOf(part, layer, head) {
    const size = part.rowLabels.length * part.columnLabels.length;
    const first = part.heads.slice(0, layer).reduce((sum, count) => sum + count, 0);
    const map = (index) => part.bytes.subarray((first + index) * size, (first + index + 1) * size);
    if (head !== 'mean') return Float32Array.from(map(head), (byte) => byte / 255);
    const mean = new Float32Array(size);
    for (let index = 0; index < part.heads[layer]; index++) {
      map(index).forEach((byte, place) => { mean[place] += (byte / 255) ** 2 / part.heads[layer]; });
    }
    return mean.map(Math.sqrt);
  }

  const stepOf = (share) => Math.round(Math.min(1, share) * (colors.length - 1));

  function rectangle(x, y, width, height, step) {
    const element = document.createElementNS(svgNames, 'rect');
    for (const [name, value] of Object.entries({ x, y, width, height, fill: colors[step] })) element.setAttribute(name, value);
    return element;
  }

  /** The cells of the picked head, as cellsSvg of heat_map_svg.ts draws them. */
  function drawMap() {
    const part = current();
    const { x, y, width, height } = part.cell;
    const [rows, columns] = [part.rowLabels.length, part.columnLabels.length];
    const shares = sharesOf(part, picked.layer, picked.head);
    const drawn = [rectangle(x, y, columns * width, rows * height, 0)];
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; ) {
        const step = stepOf(shares[row * columns + column]);
        let end = column + 1;
        while (end < columns && stepOf(shares[row * columns + end]) === step) end++;
        if (step > 0) drawn.push(rectangle(x + column * width, y + row * height, (end - column) * width, height, step));
        column = end;
      }
    }
    find(part.name + '-cells').replaceChildren(...drawn);
    find(part.name + '-choice').textContent = nameOf(picked.layer, picked.head);
    for (const { name } of parts) find('map-' + name).hidden = name !== part.name;
  }

  const nameOf = (layer, head) => 'layer ' + layer + ', ' + (head === 'mean' ? 'mean of all heads' : 'head ' + head);

  /** Every head small: layers are rows, heads are columns. */
  function drawOverview() {
    const part = current();
    const [rows, columns] = [part.rowLabels.length, part.columnLabels.length];
    overview.width = Math.max(...part.heads) * (thumb + gap);
    overview.height = part.heads.length * (thumb + gap);
    const context = overview.getContext('2d');
    if (!context) return;
    const parsed = colors.map((color) => [1, 3, 5].map((place) => parseInt(color.slice(place, place + 2), 16)));
    part.heads.forEach((heads, layer) => {
      for (let head = 0; head < heads; head++) {
        const shares = sharesOf(part, layer, head);
        const image = context.createImageData(thumb, thumb);
        const largest = new Float32Array(thumb * thumb);
        shares.forEach((share, place) => {
          const [row, column] = [Math.floor(place / columns), place % columns];
          // A cell covers at least one point, and of several in one point the largest is seen.
          const until = (index, count) => Math.max(Math.floor(((index + 1) * thumb) / count), Math.floor((index * thumb) / count) + 1);
          for (let y = Math.floor((row * thumb) / rows); y < until(row, rows); y++) {
            for (let x = Math.floor((column * thumb) / columns); x < until(column, columns); x++) {
              largest[y * thumb + x] = Math.max(largest[y * thumb + x], share);
            }
          }
        });
        largest.forEach((share, place) => image.data.set([...parsed[stepOf(share)], 255], 4 * place));
        context.putImageData(image, head * (thumb + gap), layer * (thumb + gap));
      }
    });
  }

  function fill(select, entries, value) {
    const options = entries.map(([key, text]) => {
      const option = document.createElement('option');
      option.value = key;
      option.textContent = text;
      return option;
    });
    select.replaceChildren(...options);
    select.value = String(value);
  }

  const numbered = (name, count) => Array.from({ length: count }, (_, index) => [String(index), name + ' ' + index]);

  /** After a change: choices that the part or layer doesn't have become others. */
  function update() {
    const part = current();
    picked.layer = Math.min(picked.layer, part.heads.length - 1);
    if (picked.head !== 'mean') picked.head = Math.min(picked.head, part.heads[picked.layer] - 1);
    fill(pickers.part, parts.map(({ name, title }) => [name, title]), part.name);
    fill(pickers.layer, numbered('layer', part.heads.length), picked.layer);
    fill(pickers.head, [['mean', 'mean of all heads'], ...numbered('head', part.heads[picked.layer])], picked.head);
    drawMap();
  }

  pickers.part.addEventListener('change', () => { picked.part = pickers.part.value; update(); drawOverview(); });
  pickers.layer.addEventListener('change', () => { picked.layer = Number(pickers.layer.value); update(); });
  pickers.head.addEventListener('change', () => {
    picked.head = pickers.head.value === 'mean' ? 'mean' : Number(pickers.head.value);
    update();
  });

  const tell = (text) => { find('readout').textContent = text; };

  for (const part of parts) {
    const picture = find(part.name);
    picture.addEventListener('pointermove', (event) => {
      const place = picture.getBoundingClientRect();
      const zoom = part.width / place.width;
      const column = Math.floor(((event.clientX - place.left) * zoom - part.cell.x) / part.cell.width);
      const row = Math.floor(((event.clientY - place.top) * zoom - part.cell.y) / part.cell.height);
      const [from, to] = [part.rowLabels[row], part.columnLabels[column]];
      if (from === undefined || to === undefined) return;
      const share = sharesOf(part, picked.layer, picked.head)[row * part.columnLabels.length + column];
      tell(from + ' \u2192 ' + to + ': ' + (share * share).toPrecision(2));
    });
  }

  /** Layer and head of a thumbnail under the pointer. */
  function under(event) {
    const layer = Math.floor(event.offsetY / (thumb + gap));
    const head = Math.floor(event.offsetX / (thumb + gap));
    return head < (current().heads[layer] ?? 0) ? { layer, head } : undefined;
  }
  overview.addEventListener('pointermove', (event) => {
    const found = under(event);
    if (found) tell(nameOf(found.layer, found.head));
  });
  overview.addEventListener('click', (event) => {
    const found = under(event);
    if (!found) return;
    Object.assign(picked, found);
    update();
  });

  find('controls').hidden = false;
  find('all-heads').hidden = false;
  update();
  drawOverview();
})();
`;
