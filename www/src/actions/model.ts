/** Opening files and planning the cut. */

import { batch, effect } from '@preact/signals';
import { ENGINE_STOPPED, Failed } from '../client.js';
import { type Picked, buffers, fromDrop, read, readModel, sort, title } from '../files.js';
import { needsOf } from '../criteria.js';
import type { DataOptions, DataSummary, LatencyTable, OpenedModel, PlanOptions } from '../protocol.js';
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
    // Names mean nothing in another model; a link's were written for the one that is opened first.
    if (!store.linked.value) store.settings.value = { ...store.settings.value, locks: [], sets: [], groupRatios: {} };
    store.linked.value = false;
    store.latencies.value = undefined;
    store.scored.value = undefined;
    store.drawing.value = undefined;
    store.scores.value = undefined;
    store.sensitivity.value = undefined;
    store.sweep.value = [];
    store.zeros.value = undefined;
    store.estimate.value = undefined;
    store.planProblem.value = undefined;
    store.data.value = undefined;
    store.dataRead.value = undefined;
    store.evaluations.value = {};
    forgetCut();
  });
}

/** `read`: how a person's own images were read. */
export function adoptData(summary: DataSummary, source: store.Source, read?: DataOptions): void {
  batch(() => {
    store.data.value = summary;
    store.dataSource.value = source;
    store.normalize.value = summary.normalize;
    store.dataRead.value = read && { ...read, normalize: summary.normalize };
    store.scored.value = undefined;
    store.sensitivity.value = undefined;
    store.sweep.value = [];
    store.evaluations.value = {};
    forgetTune();
  });
}

function forgetTune(): void {
  store.tune.value = 'none';
  store.tuneProgress.value = undefined;
  store.lossPoints.value = [];
  store.stages.value = [];
  store.history.value = [];
  store.held.value = [];
  store.learnt.value = undefined;
  store.isTogether.value = false;
  store.beforeStages.value = null;
  store.checkpoint.value = undefined;
}

export function forgetCut(): void {
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
  const options = { ...store.dataOptions.value, normalize };
  const summary = await runTask('data', async (progress) => {
    const files = await read(picked);
    return client.call('data', { name: title(picked), files, options }, { transfer: buffers(files), progress });
  });
  if (!summary) return false;
  adoptData(summary, { kind: 'files', files: picked }, options);
  return true;
}

/** Changes how pixels become numbers; images that are loaded are read again, also where only their split is to be another. */
export async function setNormalize(value: string): Promise<void> {
  const before = store.normalize.value;
  store.normalize.value = value;
  const [source, read] = [store.dataSource.value, store.dataRead.value];
  if (!read || source?.kind !== 'files' || JSON.stringify(read) === JSON.stringify(store.dataOptions.value)) return;
  if (!(await loadData(source.files, value))) store.normalize.value = before;
}

/** Why the criterion cannot look at the images that it needs, if it cannot. */
export function lacking(): 'images' | 'labels' | undefined {
  const needs = needsOf(store.settings.value.criterion);
  const data = store.data.value;
  if (needs === 'weights' || !store.unscored.value) return undefined;
  if (!data) return needs;
  return needs === 'labels' && !data.labelled ? 'labels' : undefined;
}

/** Lets the criterion look at the images. */
export async function scoreImages(): Promise<boolean> {
  const { criterion } = store.settings.value;
  const looked = store.looking.value;
  const left = await runTask('score', (progress) =>
    client.call('score', { criterion, images: store.scoreImages.value }, { progress }),
  );
  if (!left) return false;
  store.scored.value = looked;
  return true;
}

/** Times the layers on the device in use. */
export async function timeLayers(): Promise<void> {
  const { locks } = store.settings.value;
  const table = await runTask('latency', (progress) => client.call('latencies', { locks }, { progress }));
  if (table) store.latencies.value = rounded(table);
}

/** Three digits of a time are more than any clock holds, and the table travels in the recipe. */
function rounded(table: LatencyTable): LatencyTable {
  const short = (value: number): number => Number(value.toPrecision(3));
  const layers = Object.entries(table.layers).map(([node, points]) => {
    return [node, points.map(([macs, time]): [number, number] => [macs, short(time)])] as const;
  });
  return { device: table.device, layers: Object.fromEntries(layers), rest: short(table.rest) };
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
    if (!options || store.unscored.value) {
      batch(() => {
        store.estimate.value = undefined;
        store.planProblem.value = undefined;
      });
      return;
    }
    wanted = options;
    void plan();
  });
  // A criterion is given the images as soon as both are there; what failed once is not tried again by itself.
  let tried: unknown[] = [];
  effect(() => {
    const now = [store.looking.value, store.data.value];
    const sampling = store.sampleStage.value !== undefined && store.sampleStage.value !== 'done';
    if (!store.data.value || sampling || store.busy.value || !store.unscored.value || lacking()) return;
    if (now.every((part, index) => part === tried[index])) return;
    tried = now;
    void scoreImages();
  });
}

export async function makeCut(): Promise<boolean> {
  const options = store.planOptions.value;
  if (!options) return false;
  const summary = await runTask('cut', (progress) => client.call('cut', options, { progress }));
  if (!summary) return false;
  batch(() => {
    forgetCut();
    store.cut.value = { options, summary };
  });
  return true;
}
