/** The worker: owns the wasm instance, runs one call after the other, and lets pause and cancel overtake them. */

import type { Lopper } from '../pkg/gpu/lopper_web.js';
import type { Answer, CallName, Failure, FromWorker, Kit, Named, Progress, ToWorker } from './protocol.js';

type Call = Extract<ToWorker, { kind: 'call' }>;

const send = (message: FromWorker, transfer: Transferable[] = []): void => {
  self.postMessage(message, { transfer });
};

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
  send({ kind: 'ready', version: core.version() });
}

/** Paths and contents as the wasm takes them. */
const apart = (files: Named[]): [string[], Uint8Array[]] => [files.map(({ path }) => path), files.map(({ bytes }) => bytes)];

async function carryOut(lopper: Lopper, request: Call): Promise<Answer<CallName>> {
  const read = <K extends CallName>(text: string): Answer<K> => JSON.parse(text) as Answer<K>;
  switch (request.call) {
    case 'open': {
      const [model, ...beside] = request.ask.files;
      const { path, bytes } = model ?? { path: '', bytes: new Uint8Array() };
      return read<'open'>(lopper.open(bytes, path.slice(path.lastIndexOf('/') + 1), ...apart(beside)));
    }
    case 'sample':
      return read<'sample'>(await lopper.sample(request.ask.bytes));
    case 'plan':
      return read<'plan'>(lopper.plan(JSON.stringify(request.ask)));
    case 'cut':
      return read<'cut'>(await lopper.cut(JSON.stringify(request.ask)));
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
      const { which } = request.ask;
      return { model: lopper.model(which), report: lopper.report(which), recipe: lopper.recipe(which) };
    }
    case 'restore':
      await lopper.restore(request.ask.bytes);
      return null;
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
