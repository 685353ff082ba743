import { createContext, runInContext } from 'node:vm';

interface PointerPlace {
  readonly clientX?: number;
  readonly clientY?: number;
  readonly offsetX?: number;
  readonly offsetY?: number;
}

/** An element of a page, as far as the scripts of pages need one. */
export class FakeElement {
  textContent = '';
  value = '';
  hidden = false;
  width = 0;
  height = 0;
  children: FakeElement[] = [];
  readonly attributes: Record<string, string> = {};
  /** Pictures put on a canvas: where, and red, green, blue and opacity of each point. */
  readonly images: { readonly x: number; readonly y: number; readonly data: readonly number[] }[] = [];
  readonly #listeners = new Map<string, (event: PointerPlace) => void>();

  addEventListener(kind: string, listener: (event: PointerPlace) => void): void {
    this.#listeners.set(kind, listener);
  }

  fire(kind: string, place: PointerPlace = {}): void {
    this.#listeners.get(kind)?.(place);
  }

  setAttribute(name: string, value: unknown): void {
    this.attributes[name] = String(value);
  }

  replaceChildren(...children: FakeElement[]): void {
    this.children = children;
  }

  getBoundingClientRect(): { left: number; top: number; width: number } {
    return { left: 0, top: 0, width: this.width };
  }

  getContext() {
    return {
      createImageData: (width: number, height: number) => ({ data: new Uint8ClampedArray(4 * width * height) }),
      putImageData: ({ data }: { readonly data: Uint8ClampedArray }, x: number, y: number) =>
        this.images.push({ x, y, data: [...data] }),
    };
  }
}

/** A page whose elements are there as soon as they are asked for by their ids. */
export class FakeDocument {
  readonly #elements = new Map<string, FakeElement>();

  readonly getElementById = (id: string): FakeElement => {
    const known = this.#elements.get(id) ?? new FakeElement();
    this.#elements.set(id, known);
    return known;
  };

  readonly createElement = (): FakeElement => new FakeElement();
  readonly createElementNS = (): FakeElement => new FakeElement();

  /** Runs the scripts of a page: its data are put where they look for them. */
  run(html: string): void {
    const data = /<script type="application\/json" id="([^"]*)">(.*?)<\/script>/s.exec(html);
    const script = /<script>(.*?)<\/script>/s.exec(html);
    if (!data || !script) throw new Error('the page has no data, or no script');
    this.getElementById(data[1] ?? '').textContent = data[2] ?? '';
    runInContext(script[1] ?? '', createContext({ document: this, atob }));
  }
}
