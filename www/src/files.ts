/** What a person drops or chooses: single files, or folders with all that is in them. */

import type { Kept, Named } from './protocol.js';
import { text } from './strings.js';

/** A file and its path below what was dropped. */
export interface Picked {
  path: string;
  file: File;
}

/** Files by what they are for. */
export interface Sorted {
  model: Picked | undefined;
  /** What may hold tensors of the model. */
  beside: Picked[];
  /** An archive, or the image files of a folder. */
  images: Picked[];
  /** The first file that fits nowhere. */
  stranger: Picked | undefined;
}

const ending = (path: string): string => path.slice(path.lastIndexOf('.') + 1).toLowerCase();
const hidden = (path: string): boolean => path.split('/').some((part) => part.startsWith('.') || part === '__MACOSX');

export const fromList = (files: Iterable<File>): Picked[] =>
  [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));

async function walk(entry: FileSystemEntry): Promise<Picked[]> {
  const path = entry.fullPath.replace(/^\//, '');
  if (entry.isFile) {
    const file = await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail));
    return [{ path, file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Picked[] = [];
  // A reader gives a folder in portions, and an empty one at its end.
  for (;;) {
    const portion = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
    if (portion.length === 0) return found;
    for (const inner of portion) found.push(...(await walk(inner)));
  }
}

/** Everything in a drop. The list of items is gone after the event, so it is read before anything is awaited. */
export async function fromDrop(transfer: DataTransfer | null): Promise<Picked[]> {
  const entries = [...(transfer?.items ?? [])].map((item) => item.webkitGetAsEntry());
  const files = [...(transfer?.files ?? [])];
  if (!entries.some((entry) => entry?.isDirectory)) return fromList(files);
  try {
    return (await Promise.all(entries.map((entry) => (entry ? walk(entry) : [])))).flat();
  } catch {
    throw new Error(text.errors.folder);
  }
}

export function sort(all: readonly Picked[]): Sorted {
  const seen = all.filter(({ path }) => !hidden(path));
  const of = (...endings: string[]): Picked[] => seen.filter(({ path }) => endings.includes(ending(path)));
  const [model] = of('onnx');
  const [archive] = of('zip', 'npz');
  const pictures = of('jpg', 'jpeg', 'png');
  const taken = new Set([...of('onnx', 'zip', 'npz'), ...pictures]);
  const others = seen.filter((file) => !taken.has(file));
  const stranger = model || pictures.length > 0 ? undefined : others[0];
  return { model, beside: model ? others : [], images: archive ? [archive] : pictures, stranger };
}

/** What a set of files is called. */
export const title = (files: readonly Picked[]): string => {
  const [first] = files;
  if (!first) return '';
  return files.length === 1 ? first.file.name : (first.path.split('/')[0] ?? first.path);
};

export async function read(files: readonly Picked[]): Promise<Named[]> {
  return Promise.all(
    files.map(async ({ path, file }) => {
      try {
        return { path, bytes: new Uint8Array(await file.arrayBuffer()) };
      } catch {
        throw new Error(text.errors.fileGone(file.name));
      }
    }),
  );
}

/** A model and the files beside it, as they are opened: only the model is read whole. */
export async function readModel([first, ...others]: readonly Picked[]): Promise<{ model: Named; beside: Kept[] }> {
  const [model] = await read(first ? [first] : []);
  return { model: model ?? { path: '', bytes: new Uint8Array() }, beside: others.map(({ path, file }) => ({ path, file })) };
}

/** What a call may hand over without a copy. */
export const buffers = (files: readonly Named[]): Transferable[] => files.map(({ bytes }) => bytes.buffer as ArrayBuffer);
