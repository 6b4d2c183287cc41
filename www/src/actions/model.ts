/** Opening files and planning the cut. */

import { batch, effect } from '@preact/signals';
import { ENGINE_STOPPED, Failed } from '../client.js';
import type { DataSummary, OpenedModel, PlanOptions } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { readFile } from './reopen.js';
import { clearNotices, client, notify, runTask } from './session.js';

const ending = (name: string): string => name.slice(name.lastIndexOf('.') + 1).toLowerCase();
const isModel = (file: File): boolean => ending(file.name) === 'onnx';
const isData = (file: File): boolean => ['zip', 'npz'].includes(ending(file.name));

/** Takes whatever was dropped or chosen: a model, images, or both at once. */
export async function take(files: readonly File[]): Promise<void> {
  if (store.busy.value) {
    notify('info', text.drop.busy);
    return;
  }
  clearNotices();
  const model = files.find(isModel);
  const images = files.find(isData);
  const other = files.find((file) => !isModel(file) && !isData(file));
  if (other) notify('bad', text.drop.unknown(other.name));
  if (model && !(await openModel(model))) return;
  if (!images) return;
  if (store.model.value) await loadData(images);
  else {
    store.dataSource.value = { kind: 'file', file: images };
    notify('info', text.drop.dataFirst(images.name));
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

async function openModel(file: File): Promise<boolean> {
  const opened = await runTask('open', async () => {
    const bytes = await readFile(file);
    return client.call('open', { name: file.name, bytes }, { transfer: [bytes.buffer] });
  });
  if (!opened) return false;
  const images = store.dataSource.value;
  adopt(opened, { kind: 'file', file });
  if (images?.kind === 'file') await loadData(images.file);
  else {
    // The sample's images are gone, and what fits them rarely fits others.
    if (images) store.normalize.value = store.DEFAULT_NORMALIZE;
    store.dataSource.value = undefined;
  }
  return true;
}

export async function loadData(file: File, normalize: string = store.normalize.value): Promise<boolean> {
  const summary = await runTask('data', async (progress) => {
    const bytes = await readFile(file);
    const options = { normalize, seed: store.seed.value };
    return client.call('data', { name: file.name, bytes, options }, { transfer: [bytes.buffer], progress });
  });
  if (!summary) return false;
  adoptData(summary, { kind: 'file', file });
  return true;
}

/** Changes how pixels become numbers; images that are loaded are read again. */
export async function setNormalize(value: string): Promise<void> {
  const before = store.normalize.value;
  store.normalize.value = value;
  const source = store.dataSource.value;
  if (store.data.value && source?.kind === 'file' && !(await loadData(source.file, value))) {
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
