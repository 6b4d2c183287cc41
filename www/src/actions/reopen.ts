/** Puts a fresh worker where the old one was: model, images, cut, checkpoint. */

import type { Client } from '../client.js';
import * as store from '../store.js';
import { text } from '../strings.js';

export const readFile = async (file: File): Promise<Uint8Array> => {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new Error(text.errors.fileGone(file.name));
  }
};

/** Returns the names of what came back, for the message. */
export async function reopen(client: Client): Promise<string[]> {
  const back: string[] = [];
  const source = store.modelSource.value;
  if (!source) return back;
  if (source.kind === 'sample') {
    await client.call('sample', {});
  } else {
    const bytes = await readFile(source.file);
    await client.call('open', { name: source.file.name, bytes }, { transfer: [bytes.buffer] });
  }
  back.push(text.recovery.model);

  const images = store.dataSource.value;
  if (store.data.value && images?.kind === 'file') {
    const bytes = await readFile(images.file);
    const options = { normalize: store.data.value.normalize, seed: store.seed.value };
    await client.call('data', { name: images.file.name, bytes, options }, { transfer: [bytes.buffer] });
    back.push(text.recovery.images);
  }

  if (store.cut.value) {
    await client.call('cut', store.cut.value.options);
    back.push(text.recovery.cut);
  }

  const checkpoint = store.checkpoint.value;
  if (checkpoint) {
    // The page keeps its copy: this worker may end too.
    await client.call('restore', { bytes: checkpoint.slice() });
    back.push(text.recovery.checkpoint);
  }
  return back;
}
