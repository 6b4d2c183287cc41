/** The page's side of the worker: calls with ids, the worker's life and its end. */

import sampleUrl from '../../crate/pipeline/assets/sample.onnx?url';
import cpuUrl from '../pkg/cpu/lopper_web_bg.wasm?url';
import gpuUrl from '../pkg/gpu/lopper_web_bg.wasm?url';
import type { Answer, Ask, CallName, ControlName, Failure, FromWorker, Kit, Progress, ToWorker } from './protocol.js';
import { text } from './strings.js';

interface Waiting {
  resolve(value: unknown): void;
  reject(failure: Failed): void;
  progress: ((progress: Progress) => void) | undefined;
}

/** A `Failure` that travels as an exception. */
export class Failed extends Error {
  readonly code: string;
  constructor(failure: Failure) {
    super(failure.message);
    this.code = failure.code;
  }
}

/** The code of a call that ended because the worker did. */
export const ENGINE_STOPPED = 'engine_stopped';

export interface Handlers {
  checkpoint(bytes: Uint8Array): void;
  /** The worker ended by itself. A new one is not started until `start` is called. */
  died(message: string): void;
}

/** The wasm is fetched and compiled once; a worker that replaces another gets the compiled module. */
let compiled: Promise<{ kit: Kit; module: WebAssembly.Module }> | undefined;

/** Keeps the module for a visit without a network, the newest only; a second request is not needed for it. */
async function keep(url: string, response: Response): Promise<void> {
  try {
    const cache = await caches.open('lopper-engine');
    const old = (await cache.keys()).filter((request) => request.url !== new URL(url, location.href).href);
    await Promise.all([...old.map((request) => cache.delete(request)), cache.put(url, response)]);
  } catch {
    // Without storage, or where it is full, the next visit needs the network.
  }
}

/** Most of the larger module compiles GPU kernels: without an adapter nothing would ever run it. */
async function compile(): Promise<{ kit: Kit; module: WebAssembly.Module }> {
  const kit: Kit = (await navigator.gpu?.requestAdapter().catch(() => null)) ? 'gpu' : 'cpu';
  const response = await fetch(kit === 'gpu' ? gpuUrl : cpuUrl, { credentials: 'same-origin' });
  if (!response.ok) throw new Error(text.errors.wasmStatus(response.status));
  if (!import.meta.env.DEV) void keep(kit === 'gpu' ? gpuUrl : cpuUrl, response.clone());
  // A plain web server may not know the type that streaming compilation insists on.
  const streams = response.headers.get('content-type')?.startsWith('application/wasm');
  const module = await (streams ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer()));
  return { kit, module };
}

async function fetchSample(): Promise<Uint8Array> {
  const response = await fetch(sampleUrl, { credentials: 'same-origin' });
  if (!response.ok) throw new Error(text.errors.sampleStatus(response.status));
  return new Uint8Array(await response.arrayBuffer());
}

export class Client {
  readonly #handlers: Handlers;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #next = 1;
  #sample: Promise<Uint8Array> | undefined;

  constructor(handlers: Handlers) {
    this.#handlers = handlers;
  }

  /** Starts a worker and waits until its wasm answers. Returns the core's version. */
  async start(): Promise<string> {
    this.stop(text.errors.restarted);
    const name = `lopper-${crypto.randomUUID?.() ?? Math.random()}`;
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name });
    this.#worker = worker;
    const version = new Promise<string>((resolve, reject) => {
      const ended = (message: string): void => {
        reject(new Failed({ code: ENGINE_STOPPED, message }));
        this.#ended(worker, message);
      };
      worker.addEventListener('error', (event) => ended(event.message || text.errors.workerScript));
      worker.addEventListener('messageerror', () => ended(text.errors.workerScript));
      worker.addEventListener('message', (event: MessageEvent<FromWorker>) => {
        const message = event.data;
        if (message.kind === 'ready') resolve(message.version);
        else if (message.kind === 'died') ended(message.message);
        else if (message.kind === 'locked') {
          void navigator.locks.request(name, () => ended(text.errors.workerVanished));
        } else this.#receive(message);
      });
    });
    compiled ??= compile();
    this.#sample ??= fetchSample();
    // Whoever asks for the sample hears of it; everything else works without.
    this.#sample.catch(() => undefined);
    this.#post({ kind: 'start', ...(await compiled) });
    return version;
  }

  /** The sample's file, fetched when the page loads: nothing is requested later. */
  async sampleModel(): Promise<Uint8Array> {
    if (!this.#sample) throw new Failed({ code: ENGINE_STOPPED, message: text.errors.notRunning });
    return (await this.#sample).slice();
  }

  /** Ends the worker without a word to `died`; calls under way fail with `message`. */
  stop(message: string): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#rejectAll(message);
  }

  call<K extends CallName>(
    call: K,
    ask: Ask<K>,
    options: { transfer?: Transferable[]; progress?: (progress: Progress) => void } = {},
  ): Promise<Answer<K>> {
    const id = this.#next++;
    return new Promise<Answer<K>>((resolve, reject) => {
      if (!this.#worker) {
        reject(new Failed({ code: ENGINE_STOPPED, message: text.errors.notRunning }));
        return;
      }
      this.#waiting.set(id, {
        resolve: (value) => resolve(value as Answer<K>),
        reject,
        progress: options.progress,
      });
      // `call` and `ask` belong together by K, which a union of objects cannot express.
      this.#post({ kind: 'call', id, call, ask } as ToWorker, options.transfer);
    });
  }

  control(control: ControlName): void {
    this.#post({ kind: 'control', control });
  }

  #post(message: ToWorker, transfer: Transferable[] = []): void {
    this.#worker?.postMessage(message, transfer);
  }

  #receive(message: FromWorker): void {
    if (message.kind === 'checkpoint') {
      this.#handlers.checkpoint(message.bytes);
      return;
    }
    if (!('id' in message)) return;
    const waiting = this.#waiting.get(message.id);
    if (!waiting) return;
    if (message.kind === 'progress') {
      waiting.progress?.(message.progress);
      return;
    }
    this.#waiting.delete(message.id);
    if (message.kind === 'answer') waiting.resolve(message.value);
    else waiting.reject(new Failed(message.failure));
  }

  #ended(worker: Worker, message: string): void {
    if (worker !== this.#worker) return;
    this.stop(message);
    this.#handlers.died(message);
  }

  #rejectAll(message: string): void {
    for (const waiting of this.#waiting.values()) waiting.reject(new Failed({ code: ENGINE_STOPPED, message }));
    this.#waiting.clear();
  }
}
