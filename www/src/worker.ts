/** The worker: owns the wasm instance, runs one call after the other, and lets pause and cancel overtake them. */

import type { Lopper } from '../pkg/gpu/lopper_web.js';
import type { Answer, CallName, Failure, FromWorker, Kept, Kit, Named, Progress, ToWorker, Which } from './protocol.js';

type Call = Extract<ToWorker, { kind: 'call' }>;

const send = (message: FromWorker, transfer: Transferable[] = []): void => {
  self.postMessage(message, { transfer });
};

/** Fetched with the page, so that nothing is requested later. */
const layouts = import('./layout.js');

let core: Lopper | undefined;
let dead = false;
let running = 0;
let queue: Promise<void> = Promise.resolve();

/** Tells the page once that this instance is finished; the page ends the worker. */
function die(message: string): void {
  if (dead) return;
  dead = true;
  send({ kind: 'died', message });
}

/** The core throws `{code, message}` as JSON text. Anything else is a trap, and the instance is lost. */
function asFailure(thrown: unknown): Failure | undefined {
  if (typeof thrown !== 'string') return undefined;
  try {
    const value: unknown = JSON.parse(thrown);
    if (typeof value === 'object' && value !== null && 'code' in value && 'message' in value) {
      return { code: String(value.code), message: String(value.message) };
    }
  } catch {
    return undefined;
  }
  return undefined;
}

const describe = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

async function start(kit: Kit, module: WebAssembly.Module): Promise<void> {
  const glue = kit === 'gpu' ? await import('../pkg/gpu/lopper_web.js') : await import('../pkg/cpu/lopper_web.js');
  await glue.default({ module_or_path: module });
  core = new glue.Lopper(
    (progress: string) => send({ kind: 'progress', id: running, progress: JSON.parse(progress) as Progress }),
    (bytes: Uint8Array) => send({ kind: 'checkpoint', bytes }, [bytes.buffer as ArrayBuffer]),
    (message: string) => die(message),
  );
  await layouts;
  send({ kind: 'ready', version: core.version() });
}

/** Paths and contents as the wasm takes them. */
const apart = (files: Named[]): [string[], Uint8Array[]] => [files.map(({ path }) => path), files.map(({ bytes }) => bytes)];

/** Reads parts of files while the wasm waits. A file that has changed since cannot be read: the wasm says so. */
function partOf(files: readonly Kept[]): (at: number, offset: number, length: number) => Uint8Array | undefined {
  const reader = new FileReaderSync();
  return (at, offset, length) => {
    const file = files[at]?.file;
    return file && new Uint8Array(reader.readAsArrayBuffer(file.slice(offset, offset + length)));
  };
}

/** Pieces of this many bytes become a blob, which lives outside of the worker's memory. */
const BLOB_BYTES = 16 << 20;

/** Collects the pieces of a file. */
class Parts {
  readonly #done: Blob[] = [];
  #waiting: BlobPart[] = [];
  #bytes = 0;

  add(piece: Uint8Array<ArrayBuffer>): void {
    this.#waiting.push(piece);
    this.#bytes += piece.byteLength;
    if (this.#bytes >= BLOB_BYTES) this.#flush();
  }

  #flush(): void {
    this.#done.push(new Blob(this.#waiting));
    this.#waiting = [];
    this.#bytes = 0;
  }

  /** The file, or `null` if it has no bytes. */
  blob(): Blob | null {
    if (this.#bytes > 0) this.#flush();
    return this.#done.length > 0 ? new Blob(this.#done, { type: 'application/octet-stream' }) : null;
  }
}

/** The files of a model. */
function written(lopper: Lopper, which: Which, beside: string): { model: Blob; beside: Blob | null } {
  const [first, second] = [new Parts(), new Parts()];
  lopper.model(which, beside, (isSecond: boolean, piece: Uint8Array<ArrayBuffer>) => (isSecond ? second : first).add(piece));
  return { model: first.blob() ?? new Blob(), beside: second.blob() };
}

async function carryOut(lopper: Lopper, request: Call): Promise<Answer<CallName>> {
  const read = <K extends CallName>(text: string): Answer<K> => JSON.parse(text) as Answer<K>;
  switch (request.call) {
    case 'open': {
      const { model, beside } = request.ask;
      const name = model.path.slice(model.path.lastIndexOf('/') + 1);
      const paths = beside.map(({ path }) => path);
      const lengths = Float64Array.from(beside, ({ file }) => file.size);
      return read<'open'>(lopper.open(model.bytes, name, paths, lengths, partOf(beside)));
    }
    case 'sample':
      return read<'sample'>(await lopper.sample(request.ask.bytes));
    case 'plan':
      return read<'plan'>(lopper.plan(JSON.stringify(request.ask)));
    case 'cut':
      return read<'cut'>(await lopper.cut(JSON.stringify(request.ask)));
    case 'scores':
      return read<'scores'>(lopper.scores(JSON.stringify(request.ask)));
    case 'score':
      return read<'score'>(await lopper.score(JSON.stringify(request.ask)));
    case 'latencies':
      return read<'latencies'>(await lopper.latencies(JSON.stringify(request.ask.locks)));
    case 'sensitivity':
      return read<'sensitivity'>(await lopper.sensitivity(JSON.stringify(request.ask)));
    case 'balanced':
      return read<'balanced'>(lopper.balanced(JSON.stringify(request.ask)));
    case 'sweep':
      return read<'sweep'>(await lopper.sweep(JSON.stringify(request.ask)));
    case 'zeros':
      return read<'zeros'>(await lopper.zeros(request.ask.share));
    case 'drawing':
      return read<'drawing'>(lopper.drawing());
    case 'layout':
      return (await layouts).layout(request.ask);
    case 'layers':
      return read<'layers'>(lopper.layers());
    case 'filterPictures':
      return read<'filterPictures'>(lopper.filter_pictures(JSON.stringify(request.ask)));
    case 'filterChannels':
      return read<'filterChannels'>(lopper.filter_channels(JSON.stringify(request.ask)));
    case 'filterPlane':
      return read<'filterPlane'>(lopper.filter_plane(JSON.stringify(request.ask)));
    case 'featureMaps':
      return read<'featureMaps'>(await lopper.feature_maps(JSON.stringify(request.ask)));
    case 'silent':
      return read<'silent'>(await lopper.silent(request.ask.limit));
    case 'compare':
      return read<'compare'>(await lopper.compare(JSON.stringify(request.ask)));
    case 'agreement':
      return read<'agreement'>(await lopper.agreement(JSON.stringify(request.ask)));
    case 'widths':
      return read<'widths'>(lopper.widths(JSON.stringify(request.ask)));
    case 'valueChannels':
      return read<'valueChannels'>(lopper.value_channels(JSON.stringify(request.ask)));
    case 'why':
      return read<'why'>(lopper.why(request.ask.name));
    case 'together':
      return read<'together'>(lopper.why_together(request.ask.a, request.ask.b));
    case 'readRecipe':
      return read<'readRecipe'>(lopper.read_recipe(request.ask.text));
    case 'compactRecipe':
      return lopper.compact_recipe(JSON.stringify(request.ask));
    case 'device':
      return read<'device'>(await lopper.device(request.ask.choice));
    case 'data': {
      const { name, files, options } = request.ask;
      return read<'data'>(await lopper.data(name, ...apart(files), JSON.stringify(options)));
    }
    case 'evaluate':
      return read<'evaluate'>(await lopper.evaluate(JSON.stringify(request.ask)));
    case 'tune':
      return read<'tune'>(await lopper.tune(JSON.stringify(request.ask)));
    case 'export': {
      const { which, beside } = request.ask;
      return { ...written(lopper, which, beside), report: lopper.report(which), recipe: lopper.recipe(which) };
    }
    case 'pruneTrain':
      return read<'pruneTrain'>(await lopper.prune_train(JSON.stringify(request.ask)));
    case 'resumePruneTrain':
      return read<'resumePruneTrain'>(await lopper.resume_prune_train());
    case 'restore':
      return read<'restore'>(await lopper.restore(request.ask.bytes));
  }
}

async function answer(request: Call): Promise<void> {
  if (dead) return;
  if (!core) {
    send({ kind: 'failure', id: request.id, failure: { code: 'engine', message: 'The engine has not started yet.' } });
    return;
  }
  running = request.id;
  try {
    send({ kind: 'answer', id: request.id, value: await carryOut(core, request) });
  } catch (thrown) {
    const failure = asFailure(thrown);
    if (failure) send({ kind: 'failure', id: request.id, failure });
    else die(describe(thrown));
  }
}

self.addEventListener('message', (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  switch (message.kind) {
    case 'start':
      start(message.kit, message.module).catch((thrown: unknown) => die(describe(thrown)));
      break;
    case 'control':
      if (core && !dead) core.control(message.control);
      break;
    case 'call':
      queue = queue.then(() => answer(message));
      break;
  }
});

// A trap inside an asynchronous step settles no promise: it only surfaces here.
self.addEventListener('error', (event) => die(event.message));
self.addEventListener('unhandledrejection', (event) => die(describe(event.reason)));

// Never resolved: the lock comes free when the worker ends, however it ends.
void navigator.locks?.request(self.name, () => {
  send({ kind: 'locked' });
  return new Promise<never>(() => undefined);
});
