/** Opening files and planning the cut. */

import { batch, effect } from '@preact/signals';
import { ENGINE_STOPPED, Failed } from '../client.js';
import { type Picked, buffers, fromDrop, read, readModel, sort, title } from '../files.js';
import type { DataSummary, OpenedModel, PlanOptions } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { clearNotices, client, notify, runTask } from './session.js';

/** Takes whatever was dropped or chosen: a model, images, or both at once. */
export async function take(files: readonly Picked[]): Promise<void> {
  if (store.busy.value) {
    notify('info', text.drop.busy);
    return;
  }
  clearNotices();
  const { model, beside, images, stranger } = sort(files);
  if (stranger) notify('bad', text.drop.unknown(stranger.file.name));
  if (files.length === 0) notify('bad', text.drop.nothing);
  if (model && !(await openModel([model, ...beside]))) return;
  if (images.length === 0) return;
  if (store.model.value) await loadData(images);
  else {
    store.dataSource.value = { kind: 'files', files: images };
    notify('info', text.drop.dataFirst(title(images)));
  }
}

/** Takes a drop, folders included. */
export async function takeDrop(transfer: DataTransfer | null): Promise<void> {
  try {
    await take(await fromDrop(transfer));
  } catch (thrown) {
    notify('bad', thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** A new model begins a new run. */
export function adopt(opened: OpenedModel, source: store.Source): void {
  batch(() => {
    store.model.value = opened;
    store.modelSource.value = source;
    store.locks.value = new Set();
    store.estimate.value = undefined;
    store.planProblem.value = undefined;
    store.data.value = undefined;
    store.evaluations.value = {};
    forgetCut();
  });
}

export function adoptData(summary: DataSummary, source: store.Source): void {
  batch(() => {
    store.data.value = summary;
    store.dataSource.value = source;
    store.normalize.value = summary.normalize;
    store.evaluations.value = {};
    forgetTune();
  });
}

function forgetTune(): void {
  store.tune.value = 'none';
  store.tuneProgress.value = undefined;
  store.lossPoints.value = [];
  store.checkpoint.value = undefined;
}

function forgetCut(): void {
  store.cut.value = undefined;
  store.evaluations.value = store.evaluations.value.original ? { original: store.evaluations.value.original } : {};
  forgetTune();
}

async function openModel(picked: readonly Picked[]): Promise<boolean> {
  const opened = await runTask('open', async () => {
    const opening = await readModel(picked);
    return client.call('open', opening, { transfer: buffers([opening.model]) });
  });
  if (!opened) return false;
  const images = store.dataSource.value;
  adopt(opened, { kind: 'files', files: picked });
  if (images?.kind === 'files') await loadData(images.files);
  else {
    // The sample's images are gone, and what fits them rarely fits others.
    if (images) store.normalize.value = store.DEFAULT_NORMALIZE;
    store.dataSource.value = undefined;
  }
  return true;
}

export async function loadData(picked: readonly Picked[], normalize: string = store.normalize.value): Promise<boolean> {
  const summary = await runTask('data', async (progress) => {
    const files = await read(picked);
    const options = { normalize, seed: store.seed.value };
    return client.call('data', { name: title(picked), files, options }, { transfer: buffers(files), progress });
  });
  if (!summary) return false;
  adoptData(summary, { kind: 'files', files: picked });
  return true;
}

/** Changes how pixels become numbers; images that are loaded are read again. */
export async function setNormalize(value: string): Promise<void> {
  const before = store.normalize.value;
  store.normalize.value = value;
  const source = store.dataSource.value;
  if (store.data.value && source?.kind === 'files' && !(await loadData(source.files, value))) {
    store.normalize.value = before;
  }
}

export function toggleLock(group: string): void {
  const locks = new Set(store.locks.value);
  if (!locks.delete(group)) locks.add(group);
  store.locks.value = locks;
}

let planning = false;
let wanted: PlanOptions | undefined;

/** Plans while the slider moves: one call at a time, and only the newest wish is kept. */
async function plan(): Promise<void> {
  if (planning) return;
  planning = true;
  while (wanted) {
    const options = wanted;
    wanted = undefined;
    try {
      const estimate = await client.call('plan', options);
      batch(() => {
        store.estimate.value = estimate;
        store.planProblem.value = undefined;
      });
    } catch (thrown) {
      if (thrown instanceof Failed && thrown.code !== ENGINE_STOPPED) store.planProblem.value = thrown.message;
    }
  }
  planning = false;
}

/** Keeps the estimate in step with the settings. */
export function followSettings(): void {
  effect(() => {
    const options = store.planOptions.value;
    if (!store.model.value || store.engine.value.state !== 'ready') return;
    wanted = options;
    void plan();
  });
}

export async function makeCut(): Promise<boolean> {
  const options = store.planOptions.value;
  const summary = await runTask('cut', (progress) => client.call('cut', options, { progress }));
  if (!summary) return false;
  batch(() => {
    forgetCut();
    store.cut.value = { options, summary };
  });
  return true;
}
