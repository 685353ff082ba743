/** What a visualizer gives: plain data, and pictures of it. Each picture is drawn when it is first asked for, and then kept. */
export interface Visualization<Data> {
  /** A picture by itself, for papers and web pages: valid XML, light or dark as the reader's system is. */
  readonly svg: string;
  /** A page by itself, to be opened in a browser: it needs no network and no other file. */
  readonly html: string;
  /** For a terminal with 256 colours; it can be read without its colours, too (`util.stripVTControlCharacters` takes them away). */
  readonly ansi: string;
  readonly data: Data;
}

/** How a kind of data is drawn: pure functions of it. */
export interface Renderers<Data> {
  readonly svg: (data: Data) => string;
  readonly html: (data: Data) => string;
  readonly ansi: (data: Data) => string;
}

export function visualization<Data>(data: Data, renderers: Renderers<Data>): Visualization<Data> {
  const drawn = new Map<keyof Renderers<Data>, string>();
  const draw = (form: keyof Renderers<Data>): string => {
    const known = drawn.get(form) ?? renderers[form](data);
    drawn.set(form, known);
    return known;
  };
  return {
    get svg() {
      return draw('svg');
    },
    get html() {
      return draw('html');
    },
    get ansi() {
      return draw('ansi');
    },
    data,
  };
}
