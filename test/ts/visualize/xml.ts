/** An element of a document. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Elements and texts, in order. */
  readonly children: readonly (XmlElement | string)[];
}

/** What XML 1.0 allows in a document (section 2.2). */
const character = /^[\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]*$/u;
const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };

/** Reads a document as strictly as XML asks for; anything else is an error. Only what pictures are made of is known. */
export function parseXml(text: string): XmlElement {
  if (!character.test(text)) throw new Error('a character that XML does not have');
  let at = 0;
  const fail = (what: string): never => {
    throw new Error(`${what} at ${at}: ${JSON.stringify(text.slice(at, at + 40))}`);
  };
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at += found[0].length;
    return found;
  };
  const decode = (raw: string): string =>
    raw.replace(/&([^;]*);?/g, (all, name: string) => entities[name] ?? fail(`entity ${all}`));

  function element(): XmlElement {
    const [, name = ''] = take(/<([A-Za-z][\w:.-]*)/y) ?? fail('an element is expected');
    const attributes: Record<string, string> = {};
    for (let found = take(/\s+([\w:.-]+)="([^"<]*)"/y); found; found = take(/\s+([\w:.-]+)="([^"<]*)"/y)) {
      const [, key = '', value = ''] = found;
      if (key in attributes) fail(`a second ${key}`);
      attributes[key] = decode(value);
    }
    if (!take(/>/y)) fail(`the end of <${name}`);
    const children: (XmlElement | string)[] = [];
    for (;;) {
      const raw = take(/[^<]+/y)?.[0];
      if (raw?.includes(']]>')) fail(']]>');
      if (raw !== undefined) children.push(decode(raw));
      if (take(new RegExp(`</${name}>`, 'y'))) return { name, attributes, children };
      children.push(element());
    }
  }
  const root = element();
  if (at !== text.length) fail('nothing more is expected');
  return root;
}

/** All elements of a name below one, or itself, in order. */
export function elementsOf(root: XmlElement, name: string): XmlElement[] {
  const below = root.children.flatMap((child) => (typeof child === 'string' ? [] : elementsOf(child, name)));
  return root.name === name ? [root, ...below] : below;
}

/** The one with an id. */
export function elementById(root: XmlElement, id: string): XmlElement {
  const found = findById(root, id);
  if (!found) throw new Error(`no element has the id ${id}`);
  return found;
}

function findById(root: XmlElement, id: string): XmlElement | undefined {
  if (root.attributes.id === id) return root;
  for (const child of root.children) {
    const found = typeof child === 'string' ? undefined : findById(child, id);
    if (found) return found;
  }
  return undefined;
}

export function textOf(element: XmlElement): string {
  return element.children.map((child) => (typeof child === 'string' ? child : textOf(child))).join('');
}
