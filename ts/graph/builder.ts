import { OctoformerError } from '../binding/error';
import type { ModuleNode, ModuleParameter } from './module_tree';
import {
  type BufferDescription,
  type CacheLayerDescription,
  type Op,
  type Program,
  type RowSymbol,
  storedName,
  type WeightDescription,
  type WeightPart,
} from './program';
import type { TensorTable } from './tensor_table';
import type { Value } from './value';
import type { WeightKeeping, WeightPlace, WeightPolicy } from './weight_policy';
import { type BuiltWeight, halfOf, type PartRequest, type ReadTensor } from './weight_request';

export interface ScopeOptions {
  readonly detail?: string;
  /** Names of children in the order that they are shown in; the order of building otherwise. */
  readonly order?: readonly string[];
}

interface MutableNode extends ModuleNode {
  readonly parameters: ModuleParameter[];
  readonly children: MutableNode[];
}

function sortChildren({ children }: MutableNode, order: readonly string[]): void {
  children.sort((left, right) => order.indexOf(left.name) - order.indexOf(right.name));
}

/** Ops that run one after another: the decoder's (or all of them), or the encoder's. */
interface PartUnderWay {
  readonly cacheLayers: CacheLayerDescription[];
  readonly ops: Op[];
}

/**
 * Collects the ops, buffers and weights of a model while its modules are built, and the tree of modules beside them. A weight
 * asked for twice (a tied embedding and output projection) is one weight.
 */
export class GraphBuilder {
  readonly #tensors: TensorTable;
  readonly #policy: WeightPolicy;
  readonly #weights: WeightDescription[] = [];
  readonly #weightsByKey = new Map<string, BuiltWeight>();
  readonly #buffers: BufferDescription[] = [];
  readonly #main: PartUnderWay = { cacheLayers: [], ops: [] };
  readonly #encoder: PartUnderWay = { cacheLayers: [], ops: [] };
  readonly #crossLayers: CacheLayerDescription[] = [];
  #part = this.#main;
  readonly #outputs = new Set<string>();
  readonly #readTensors = new Map<string, ReadTensor>();
  #places: number | undefined;
  readonly #root: MutableNode;
  readonly #path: MutableNode[];

  /**
   * @param tensors what the checkpoint has
   * @param policy form and arithmetic of the matrices
   * @param rootKind class of the whole model as Python prints it, such as `LlamaForCausalLM`
   */
  constructor(tensors: TensorTable, policy: WeightPolicy, rootKind = 'Model') {
    this.#tensors = tensors;
    this.#policy = policy;
    this.#root = { name: '', path: '', kind: rootKind, detail: '', parameters: [], children: [] };
    this.#path = [this.#root];
  }

  /** The module that is being built. */
  get #current(): MutableNode {
    return this.#path.at(-1) ?? this.#root;
  }

  /** The path of a name within the module that is being built, such as `model.layers.0.mlp`. */
  pathOf(name: string): string {
    const { path } = this.#current;
    return path === '' ? name : `${path}.${name}`;
  }

  /**
   * Builds a module: what `body` builds becomes its children, and names within are relative to it. A module of that name which is
   * there already is gone on with (layers that share their weights are one module).
   */
  scope<T>(name: string, kind: string, body: () => T, options: ScopeOptions = {}): T {
    const node = this.#current.children.find((child) => child.name === name) ?? this.#newModule(name, kind, options);
    this.#path.push(node);
    const result = body();
    this.#path.pop();
    const { order } = options;
    if (order) sortChildren(node, order);
    return result;
  }

  /** Says in which order the children of the present module are shown: what `order` says of a module that `scope` builds. */
  orderChildren(order: readonly string[]): void {
    sortChildren(this.#current, order);
  }

  #newModule(name: string, kind: string, { detail = '' }: ScopeOptions): MutableNode {
    const node: MutableNode = { name, path: this.pathOf(name), kind, detail, parameters: [], children: [] };
    this.#current.children.push(node);
    return node;
  }

  /** Records a module without children, with its parameters. */
  leaf(name: string, kind: string, detail: string, parameters: readonly ModuleParameter[] = []): void {
    this.scope(
      name,
      kind,
      () => {
        const known = this.#current.parameters;
        known.push(...parameters.filter((parameter) => !known.some((other) => other.name === parameter.name)));
      },
      { detail },
    );
  }

  /** Whether the checkpoint has a tensor, by its full name. */
  hasTensor(name: string): boolean {
    return this.#tensors.find(name) !== undefined;
  }

  /** A new activation matrix `[rows, columns]`. */
  buffer(rows: RowSymbol, columns: number): Value {
    if (!Number.isSafeInteger(columns) || columns <= 0) {
      throw new OctoformerError('INTERNAL', `a buffer of ${columns} columns in '${this.#current.path}'`);
    }
    this.#buffers.push({ rows, columns });
    return { buffer: this.#buffers.length - 1, offset: 0, columns };
  }

  /** Says how many rows buffers of `places` have. */
  setPlaces(places: number): void {
    this.#places = places;
  }

  /** What the rows of a value stand for. */
  rowsOf(value: Value): RowSymbol {
    const buffer = this.#buffers[value.buffer];
    if (!buffer) throw new OctoformerError('INTERNAL', `value of buffer ${value.buffer}, which does not exist`);
    return buffer.rows;
  }

  /** Columns `[offset, offset + columns)` of a value. */
  slice(value: Value, offset: number, columns: number): Value {
    if (offset < 0 || columns <= 0 || offset + columns > value.columns) {
      throw new OctoformerError(
        'INTERNAL',
        `columns [${offset}, ${offset + columns}) of a value of ${value.columns} columns in '${this.#current.path}'`,
      );
    }
    return { buffer: value.buffer, offset: value.offset + offset, columns };
  }

  /**
   * How a matrix is kept: what `matrix` takes.
   * @param module the full path of the module that it belongs to
   * @param tensor the full name of the matrix, or of one of its parts
   */
  keeping(module: string, place: WeightPlace, tensor: string): WeightKeeping {
    return this.#policy.keeping(module, place, this.#tensors.numbersOf(tensor));
  }

  /** A matrix for linear and embedding ops, its parts stacked along the rows. */
  matrix(label: string, parts: readonly PartRequest[], keeping: WeightKeeping): BuiltWeight {
    return this.#weight('linear', label, parts, keeping);
  }

  /** A vector for norms and biases, its parts one after another. */
  vector(label: string, parts: readonly PartRequest[]): BuiltWeight {
    return this.#weight('vector', label, parts, { form: 'float32', compute: 'float32' });
  }

  #weight(
    role: 'linear' | 'vector',
    label: string,
    given: readonly PartRequest[],
    keeping: WeightKeeping,
  ): BuiltWeight {
    const requests = given.flatMap((request) => this.#inPieces(request));
    const parts: WeightPart[] = [];
    const parameters: Omit<ModuleParameter, 'name'>[] = [];
    const index = this.#weights.length;
    let rows = 0;
    for (const request of requests) {
      const scale = role === 'linear' ? this.#tensors.scaleOf(request.name) : undefined;
      const asMultiplied = this.#liesAsMultiplied(request.name);
      // Where weights are stored in int8, their rows are output features always.
      const transpose = request.transpose && !scale && !asMultiplied;
      const stored = transpose ? [...request.shape].reverse() : (request.storedShape ?? request.shape);
      const found = this.#tensors.require(request.name, stored, scale ? 'int8' : 'float');
      if (found.permute_rows && request.rows) {
        throw new OctoformerError('INTERNAL', `the file and the model both reorder the rows of '${request.name}'`);
      }
      const half = halfOf(found, request.rows);
      const part = { tensor: half?.tensor ?? found.tensor, ...(found.stacked ? { entry: found.stacked.index } : {}) };
      parts.push({
        ...part,
        shape: found.info.shape,
        ...(transpose ? { transpose: true } : {}),
        ...(found.permute_rows ? { permute_rows: found.permute_rows } : {}),
        ...(half?.rows ?? request.rows),
        ...(scale ? { scale } : {}),
      });
      const tensor = storedName(part);
      if (!this.#readTensors.has(tensor)) {
        this.#readTensors.set(tensor, {
          name: request.name,
          dtype: found.info.dtype,
          transpose: request.transpose === true,
          ...(request.pieces ? { rows: request.pieces } : {}),
          ...(found.added === undefined ? {} : { added: found.added }),
          ...(half ? { half: { index: half.index, rows: half.rows.take_rows.count, whole: found.tensor } } : {}),
        });
      }
      parameters.push({ tensor, shape: stored, dtype: found.info.dtype, weight: index });
      const leading = role === 'linear' ? request.shape.slice(0, -1) : request.shape;
      rows += request.rows?.take_rows?.count ?? leading.reduce((product, size) => product * size, 1);
    }
    const key = `${role} ${JSON.stringify([parts, keeping])}`;
    const known = this.#weightsByKey.get(key);
    if (known) return known;
    const width = role === 'linear' ? (requests[0]?.shape.slice(-1) ?? []) : [];
    this.#weights.push({
      name: label,
      role,
      shape: [rows, ...width],
      ...keeping,
      parts,
    });
    const added = requests[0] && this.#tensors.find(requests[0].name)?.added;
    const built = { index, parameters, ...(added === undefined ? {} : { added }) };
    this.#weightsByKey.set(key, built);
    return built;
  }

  /** A request for each piece, unless the checkpoint has them in that order already. */
  #inPieces({ pieces, ...request }: PartRequest): readonly PartRequest[] {
    if (!pieces) return [request];
    return this.#liesAsMultiplied(request.name)
      ? [{ ...request, pieces }]
      : pieces.map((rows) => ({ ...request, rows }));
  }

  #liesAsMultiplied(name: string): boolean {
    return this.#tensors.find(name)?.asMultiplied === true;
  }

  /**
   * Builds ops of the encoder of an encoder-decoder: they run once a sequence, before the decoder, and over the encoder's tokens. Modules
   * keep their place in the tree. Values made in there can't be read outside; names of outputs get `encoder_` in front.
   */
  inEncoder<T>(body: () => T): T {
    const before = this.#part;
    this.#part = this.#encoder;
    try {
      return body();
    } finally {
      this.#part = before;
    }
  }

  /** A layer of the cache (in the encoder: of its own attention); its index is what attention ops call `layer`. */
  cacheLayer(layer: CacheLayerDescription): number {
    this.#part.cacheLayers.push(layer);
    return this.#part.cacheLayers.length - 1;
  }

  /** A layer of keys and values that an encoder's `store_cross` keeps and the decoder's `cross_attention` reads. */
  crossLayer(layer: CacheLayerDescription): number {
    this.#crossLayers.push(layer);
    return this.#crossLayers.length - 1;
  }

  /** Appends an op. */
  add(op: Op): void {
    this.#part.ops.push(op);
  }

  /** Makes a value readable under a name. */
  output(name: string, input: Value): void {
    this.add({ op: 'output', name: this.declareOutput(name), input });
  }

  /** Makes a value readable as `last_hidden_state` (in the encoder: as `encoder_last_hidden_state`), unless another one is already. */
  outputLastHidden(input: Value): void {
    const name = 'last_hidden_state';
    if (!this.#outputs.has(this.#part === this.#encoder ? `encoder_${name}` : name)) this.output(name, input);
  }

  /** Records a name that an op itself fills, such as an attention's probabilities; gives back how the op must call it. */
  declareOutput(name: string): string {
    const full = this.#part === this.#encoder ? `encoder_${name}` : name;
    if (this.#outputs.has(full)) throw new OctoformerError('INVALID_ARGUMENT', `two outputs are called '${full}'`);
    this.#outputs.add(full);
    return full;
  }

  /** Whether anything was built within `inEncoder`. */
  get hasEncoder(): boolean {
    return this.#encoder.ops.length > 0;
  }

  get outputs(): ReadonlySet<string> {
    return this.#outputs;
  }

  /** What the model reads of the checkpoint, by the checkpoint's names. */
  get readTensors(): ReadonlyMap<string, ReadTensor> {
    return this.#readTensors;
  }

  get modules(): ModuleNode {
    return this.#root;
  }

  /** A layer in the form that the policy wants. */
  #kept(layer: CacheLayerDescription): CacheLayerDescription {
    const { cacheForm = 'float32' } = this.#policy;
    return cacheForm === 'float32' ? layer : { ...layer, form: cacheForm };
  }

  /**
   * Layers of causal attention are kept from one run to the next. What all tokens see is there for one run, and only bfloat16 is faster
   * there than float32, where no terms of positions are added to scores.
   */
  #cacheLayers({ cacheLayers, ops }: PartUnderWay): CacheLayerDescription[] {
    const forOneRun = this.#policy.cacheForm === 'bfloat16';
    const formed = new Set(
      ops.flatMap((op) =>
        op.op === 'attention' && (op.pattern.kind === 'causal' || (forOneRun && !op.positions)) ? [op.layer] : [],
      ),
    );
    return cacheLayers.map((layer, index) => (formed.has(index) ? this.#kept(layer) : layer));
  }

  /** The Program, as far as it is built. */
  lower(): Program {
    return {
      version: 1,
      weights: [...this.#weights],
      buffers: [...this.#buffers],
      ...(this.#places === undefined ? {} : { places: this.#places }),
      cache_layers: this.#cacheLayers(this.#main),
      ops: [...this.#main.ops],
      ...(this.hasEncoder
        ? {
            encoder: {
              cache_layers: this.#cacheLayers(this.#encoder),
              cross_layers: this.#crossLayers.map((layer) => this.#kept(layer)),
              ops: [...this.#encoder.ops],
            },
          }
        : {}),
    };
  }
}
