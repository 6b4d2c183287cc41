/** Puts a fresh worker where the old one was: model, images, cut, checkpoint. */

import type { Client } from '../client.js';
import { buffers, read, readModel, title } from '../files.js';
import * as store from '../store.js';
import { text } from '../strings.js';

/** Returns the names of what came back, for the message. */
export async function reopen(client: Client): Promise<string[]> {
  const back: string[] = [];
  const source = store.modelSource.value;
  if (!source) return back;
  if (source.kind === 'sample') {
    await client.call('sample', { bytes: await client.sampleModel() });
  } else {
    const opening = await readModel(source.files);
    await client.call('open', opening, { transfer: buffers([opening.model]) });
  }
  back.push(text.recovery.model);

  const images = store.dataSource.value;
  if (store.data.value && images?.kind === 'files') {
    const files = await read(images.files);
    const options = store.dataRead.value ?? store.dataOptions.value;
    await client.call('data', { name: title(images.files), files, options }, { transfer: buffers(files) });
    back.push(text.recovery.images);
  }

  store.scored.value = undefined;
  // The cut of pruning and training together comes back with its checkpoint.
  if (store.cut.value && !store.isTogether.value) {
    await client.call('cut', store.cut.value.options);
    back.push(text.recovery.cut);
  }

  const checkpoint = store.checkpoint.value;
  if (checkpoint) {
    // The page keeps its copy: this worker may end too.
    const resumed = await client.call('restore', { bytes: checkpoint.slice() });
    if (resumed.cut && store.tune.value === 'broken') store.tune.value = resumed.finished ? 'finished' : 'stopped';
    back.push(text.recovery.checkpoint);
  }
  return back;
}
