/** Runs in the browser's private file system: what it takes to go on after the tab was closed, crashed or lost its engine. */

import type { PlanOptions } from './protocol.js';
import type { LossPoint, Settings } from './store.js';
import type { StageNote, StageSummary } from './protocol.js';

/** What a run is, beside the engine's checkpoint. */
export interface KeptNote {
  /** Milliseconds since 1970 when it was last kept. */
  saved: number;
  /** The model's name, and paths of its files; none of the sample, which the page has. */
  model: string;
  files: string[];
  data: { name: string; sample: boolean; normalize: string };
  settings: Settings;
  /** The cut that is tuned; none in pruning and training together. */
  cut: PlanOptions | null;
  points: LossPoint[];
  before: number | null;
  stages: StageSummary[];
  history: StageNote[];
  /** How far along it was, from 0 to 1. */
  share: number;
  finished: boolean;
}

export interface KeptRun {
  id: string;
  note: KeptNote;
}

const FOLDER = 'runs';
const NOTE = 'note.json';
const CHECKPOINT = 'checkpoint';
const modelFile = (index: number): string => `model-${index}`;
/** A tab holds the lock of its run as long as it lives. */
const lockOf = (id: string): string => `lopper-run-${id}`;

/** `undefined` where the browser has no such place, as in some private windows. */
async function runs(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle(FOLDER, { create: true });
  } catch {
    return undefined;
  }
}

/** Writes a file so that it is there whole or as it was before. */
async function write(folder: FileSystemDirectoryHandle, name: string, data: FileSystemWriteChunkType): Promise<void> {
  const file = await (await folder.getFileHandle(name, { create: true })).createWritable();
  await file.write(data);
  await file.close();
}

async function read(folder: FileSystemDirectoryHandle, name: string): Promise<File> {
  return (await folder.getFileHandle(name)).getFile();
}

/** The place of one run. */
export class Keeper {
  readonly #folder: FileSystemDirectoryHandle;

  private constructor(folder: FileSystemDirectoryHandle) {
    this.#folder = folder;
  }

  /** Makes a place for a run of this tab. */
  static async open(id: string): Promise<Keeper | undefined> {
    const folder = await runs();
    if (!folder || !('createWritable' in FileSystemFileHandle.prototype)) return undefined;
    // Held until the tab is gone.
    void navigator.locks.request(lockOf(id), () => new Promise<never>(() => undefined));
    return new Keeper(await folder.getDirectoryHandle(id, { create: true }));
  }

  async model(files: readonly Blob[]): Promise<void> {
    for (const [index, file] of files.entries()) await write(this.#folder, modelFile(index), file);
  }

  /** The note comes last: a run without one is none. */
  async keep(note: KeptNote, checkpoint: Uint8Array<ArrayBuffer>): Promise<void> {
    await write(this.#folder, CHECKPOINT, checkpoint);
    await write(this.#folder, NOTE, JSON.stringify(note));
  }
}

/** Runs that no living tab has, the newest first. */
export async function found(): Promise<KeptRun[]> {
  const folder = await runs();
  if (!folder) return [];
  const held = new Set((await navigator.locks.query()).held?.map(({ name }) => name));
  const all: KeptRun[] = [];
  for await (const id of folder.keys()) {
    if (held.has(lockOf(id))) continue;
    try {
      const own = await folder.getDirectoryHandle(id);
      await read(own, CHECKPOINT);
      all.push({ id, note: JSON.parse(await (await read(own, NOTE)).text()) as KeptNote });
    } catch {
      // Broken off before its first checkpoint.
      await forget(id);
    }
  }
  return all.sort((a, b) => b.note.saved - a.note.saved);
}

export async function forget(id: string): Promise<void> {
  try {
    await (await runs())?.removeEntry(id, { recursive: true });
  } catch {
    // Another tab was faster.
  }
}

/** The files of a kept run: its model's, and the checkpoint. */
export async function filesOf({ id, note }: KeptRun): Promise<{ model: File[]; checkpoint: Uint8Array<ArrayBuffer> }> {
  const folder = await (await runs())?.getDirectoryHandle(id);
  if (!folder) throw new Error(id);
  const model: File[] = [];
  for (const [index, path] of note.files.entries()) {
    const file = await read(folder, modelFile(index));
    model.push(new File([file], path.slice(path.lastIndexOf('/') + 1)));
  }
  return { model, checkpoint: new Uint8Array(await (await read(folder, CHECKPOINT)).arrayBuffer()) };
}
