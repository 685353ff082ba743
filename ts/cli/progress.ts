import type { LoadProgress } from '../models/load_options';
import type { SaveProgress } from '../models/save_pretrained';
import { formatBytes, type Terminal } from './terminal';

// Faster than the eye follows is only work for the terminal.
const FRAME_MS = 80;
const BAR_WIDTH = 24;
const DEFAULT_COLUMNS = 80;

type Progress = LoadProgress | SaveProgress;

const LABELS: Readonly<Record<Progress['phase'], string>> = {
  download: 'Downloading',
  load: 'Loading',
  save: 'Saving',
};

/** A bar on the messages' stream while files are fetched or written and weights are packed; nothing where that is no terminal. */
export class ProgressBar {
  readonly #terminal: Terminal;
  readonly #isShown: boolean;
  #files = new Map<string, Progress>();
  #phase: Progress['phase'] | undefined;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #isDrawn = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#isShown = terminal.messages.isTTY === true;
  }

  readonly update = (progress: Progress): void => {
    if (!this.#isShown) return;
    if (progress.phase !== this.#phase) {
      this.#phase = progress.phase;
      this.#files = new Map();
    }
    this.#files.set(progress.file, progress);
    const now = performance.now();
    if (now - this.#drawnAt < FRAME_MS) return;
    this.#drawnAt = now;
    this.#draw(progress.file);
  };

  /** Takes the bar away. */
  clear(): void {
    if (this.#isDrawn) this.#terminal.messages.write('\r\x1b[K');
    this.#isDrawn = false;
  }

  #draw(file: string): void {
    const all = [...this.#files.values()];
    const loaded = all.reduce((sum, one) => sum + one.loaded, 0);
    const total = all.reduce((sum, one) => sum + Math.max(one.total, one.loaded), 0);
    const line = progressLine(LABELS[this.#phase ?? 'load'], loaded, total, file);
    const columns = this.#terminal.messages.columns ?? DEFAULT_COLUMNS;
    this.#terminal.messages.write(`\r${line.slice(0, columns - 1)}\x1b[K`);
    this.#isDrawn = true;
  }
}

/** What is being done, on the messages' stream where that is a terminal. */
export class ProgressLine {
  constructor(private readonly terminal: Terminal) {}

  show(text: string): void {
    if (this.terminal.messages.isTTY === true) this.terminal.messages.write(`\r${text}\x1b[K`);
  }

  clear(): void {
    this.show('');
  }
}

/** `Loading     [######..................]  25 %  24.5 MB of 98.0 MB  model.safetensors` */
export function progressLine(label: string, loaded: number, total: number, file: string): string {
  const share = total > 0 ? Math.min(1, loaded / total) : 0;
  const filled = Math.floor(share * BAR_WIDTH);
  const bar = '#'.repeat(filled) + '.'.repeat(BAR_WIDTH - filled);
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `${label.padEnd(11)} [${bar}] ${percent} %  ${formatBytes(loaded)} of ${formatBytes(total)}  ${file}`;
}
