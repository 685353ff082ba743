import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

export interface Fault {
  /** Bytes of the body that are sent before the connection is cut. */
  readonly cutAfter?: number;
  /** Answers this instead of the file. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sends these bytes instead (same announced sum). */
  readonly body?: Buffer;
  /** Sends so many bytes, then nothing more until the client goes away. */
  readonly hangAfter?: number;
}

/** Speaks as the hub does: large files by redirect to another host (another port), small ones directly. */
export class FakeHub {
  readonly id = 'owner/tiny-model';
  commit = 'a'.repeat(40);
  readonly files = new Map<string, Buffer>();
  /** Names of files that git keeps by their SHA-256 and the content server delivers. */
  readonly large = new Set<string>();
  readonly hubRequests: SeenRequest[] = [];
  readonly contentRequests: SeenRequest[] = [];
  /** What goes wrong, a list a file (or `api`), one taken a request. */
  readonly faults = new Map<string, Fault[]>();
  #hub!: Server;
  #content!: Server;

  async start(): Promise<void> {
    this.#hub = await listen((request, response) => this.#answerHub(request, response));
    this.#content = await listen((request, response) => this.#answerContent(request, response));
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#content]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  get endpoint(): string {
    return origin(this.#hub);
  }

  add(name: string, contents: string | Buffer, isLarge = false): void {
    this.files.set(name, Buffer.from(contents));
    if (isLarge) this.large.add(name);
    else this.large.delete(name);
  }

  etag(name: string): string {
    const contents = this.#contents(name);
    if (this.large.has(name)) return createHash('sha256').update(contents).digest('hex');
    return createHash('sha1').update(`blob ${contents.length}\0`).update(contents).digest('hex');
  }

  fail(name: string, ...faults: Fault[]): void {
    this.faults.set(name, faults);
  }

  forgetRequests(): void {
    this.hubRequests.length = 0;
    this.contentRequests.length = 0;
  }

  #contents(name: string): Buffer {
    const contents = this.files.get(name);
    if (contents === undefined) throw new Error(`the fake hub has no ${name}`);
    return contents;
  }

  #answerHub(request: IncomingMessage, response: ServerResponse): void {
    const seen = see(request);
    this.hubRequests.push(seen);
    const api = new RegExp(`^/api/models/${this.id}/revision/(.+)$`).exec(seen.path);
    if (api !== null) {
      const fault = this.#takeFault('api');
      if (fault?.status !== undefined) {
        response.writeHead(fault.status, fault.headers).end('{}');
      } else if (fault?.body !== undefined) {
        response.end(fault.body);
      } else {
        const siblings = [...this.files.keys()].map((rfilename) => ({ rfilename }));
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ sha: this.commit, siblings }));
      }
      return;
    }
    const file = new RegExp(`^/${this.id}/resolve/([0-9a-f]{40})/(.+)$`).exec(seen.path);
    const name = file?.[2] ?? '';
    if (file === null || file[1] !== this.commit || !this.files.has(name)) {
      response
        .writeHead(404, { 'x-error-code': api === null && file === null ? 'RepoNotFound' : 'EntryNotFound' })
        .end();
      return;
    }
    response.setHeader('x-repo-commit', this.commit);
    const etag = this.etag(name);
    if (this.large.has(name)) {
      response.setHeader('x-linked-etag', `"${etag}"`);
      response.setHeader('x-linked-size', String(this.#contents(name).length));
      response.writeHead(302, { location: `${origin(this.#content)}/${name}?signature=secret` }).end();
      return;
    }
    response.setHeader('etag', `"${etag}"`);
    this.#send(name, request, response);
  }

  #answerContent(request: IncomingMessage, response: ServerResponse): void {
    const seen = see(request);
    this.contentRequests.push(seen);
    response.setHeader('etag', '"the content server has its own"');
    this.#send(seen.path.slice(1), request, response);
  }

  #send(name: string, request: IncomingMessage, response: ServerResponse): void {
    const fault = this.#takeFault(name);
    if (fault?.status !== undefined) {
      response.writeHead(fault.status, fault.headers).end();
      return;
    }
    const contents = fault?.body ?? this.#contents(name);
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const condition = request.headers['if-range'];
    const first =
      range !== null && (condition === undefined || condition === `"${this.etag(name)}"`) ? Number(range[1]) : 0;
    if (first > 0 && first >= contents.length) {
      response.writeHead(416, { 'content-range': `bytes */${contents.length}` }).end();
      return;
    }
    response.setHeader('content-length', contents.length - first);
    if (first > 0) {
      response.setHeader('content-range', `bytes ${first}-${contents.length - 1}/${contents.length}`);
      response.writeHead(206);
    }
    const part = contents.subarray(first);
    const stopAt = fault?.cutAfter ?? fault?.hangAfter;
    if (stopAt === undefined) {
      response.end(part);
    } else {
      response.write(part.subarray(0, stopAt), () => {
        // Given time to arrive: a reset would throw away what the client has not read yet.
        if (fault?.cutAfter !== undefined) setTimeout(() => response.destroy(), 30);
      });
    }
  }

  #takeFault(name: string): Fault | undefined {
    return this.faults.get(name)?.shift();
  }
}

function see(request: IncomingMessage): SeenRequest {
  return {
    path: new URL(request.url ?? '/', 'http://x').pathname,
    authorization: request.headers.authorization,
    range: request.headers.range,
  };
}

async function listen(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function origin(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
