/** Keeping runs, and going on with one that was broken off. */

import { batch, effect } from '@preact/signals';
import { buffers, readModel } from '../files.js';
import { type KeptNote, type KeptRun, Keeper, filesOf, forget, found } from '../kept.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { adopt, adoptData } from './model.js';
import { fineTune, goOnTogether } from './run.js';
import { client, notify, runTask } from './session.js';

/** The name of this tab's run. */
const OWN = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;

let keeper: Promise<Keeper | undefined> | undefined;
/** The model whose files lie beside the checkpoint. */
let written: store.Source | undefined;
let next: { note: KeptNote; checkpoint: Uint8Array<ArrayBuffer> } | undefined;
let keeping = false;

function share(): number {
  const { step, steps } = store.tuneProgress.value ?? { step: 0, steps: 1 };
  return step / Math.max(1, steps);
}

function noteNow(): KeptNote | undefined {
  const [source, model, data] = [store.modelSource.value, store.model.value, store.data.value];
  if (!source || !model || !data) return undefined;
  return {
    saved: Date.now(),
    model: model.summary.name,
    files: source.kind === 'files' ? source.files.map(({ path }) => path) : [],
    data: { name: data.name, sample: store.dataSource.value?.kind === 'sample', normalize: data.normalize },
    settings: store.settings.value,
    cut: store.isTogether.value ? null : (store.cut.value?.options ?? null),
    points: store.lossPoints.value,
    before: store.beforeStages.value,
    stages: store.stages.value,
    history: store.history.value,
    share: share(),
    finished: store.tune.value === 'finished',
  };
}

async function first(): Promise<Keeper | undefined> {
  // What other tabs left is out of date as soon as this one trains.
  const offered = store.kept.value;
  if (offered) {
    store.kept.value = undefined;
    await forget(offered.id);
  }
  void navigator.storage.persist?.();
  return Keeper.open(OWN);
}

/** One file after the other is written, and only the newest checkpoint waits. */
async function writeNext(): Promise<void> {
  if (keeping) return;
  keeping = true;
  try {
    keeper ??= first();
    const place = await keeper;
    while (place && next) {
      const { note, checkpoint } = next;
      next = undefined;
      const source = store.modelSource.value;
      if (source && source !== written) {
        if (source.kind === 'files') await place.model(source.files.map(({ file }) => file));
        written = source;
      }
      await place.keep(note, checkpoint);
    }
  } catch {
    // The disk is full or the place was taken away: training matters more.
  } finally {
    keeping = false;
  }
}

/** Puts a checkpoint where it outlives the tab. */
export function keep(checkpoint: Uint8Array): void {
  const note = noteNow();
  if (!note) return;
  next = { note, checkpoint: new Uint8Array(checkpoint) };
  void writeNext();
}

/** The run has ended: its note says so. */
export function keepEnd(): void {
  if (store.checkpoint.value) keep(store.checkpoint.value);
}

/** Looks for a run that was broken off. */
export async function lookForKept(): Promise<void> {
  const [newest, ...older] = await found();
  for (const { id } of older) await forget(id);
  if (!store.model.value) store.kept.value = newest;
}

export async function forgetKept(): Promise<void> {
  const { id } = store.kept.value ?? store.awaited.value ?? {};
  batch(() => {
    store.kept.value = undefined;
    store.awaited.value = undefined;
  });
  if (id) await forget(id);
}

/** Opens the model of a kept run; the sample brings its images with it. */
async function openKept({ note }: KeptRun, files: readonly File[]): Promise<boolean> {
  if (note.data.sample) {
    const sample = await runTask('open', async () => client.call('sample', { bytes: await client.sampleModel() }));
    if (!sample) return false;
    adopt(sample.model, { kind: 'sample' });
    adoptData(sample.data, { kind: 'sample' });
    return true;
  }
  const picked = files.map((file, index) => ({ path: note.files[index] ?? file.name, file }));
  const opened = await runTask('open', async () => {
    const opening = await readModel(picked);
    return client.call('open', opening, { transfer: buffers([opening.model]) });
  });
  if (!opened) return false;
  adopt(opened, { kind: 'files', files: picked });
  store.normalize.value = note.data.normalize;
  return true;
}

/** Goes on with the run that was found: opens its model, and asks for its images where they were a person's own. */
export async function goOnWithKept(): Promise<void> {
  const run = store.kept.value;
  if (!run || store.busy.value) return;
  try {
    const { model } = await filesOf(run);
    store.linked.value = false;
    if (!(await openKept(run, model))) return;
  } catch {
    notify('bad', text.kept.gone);
    await forgetKept();
    return;
  }
  batch(() => {
    store.kept.value = undefined;
    store.awaited.value = run;
    // An older version may have kept it.
    store.settings.value = { ...store.DEFAULTS, ...run.note.settings };
  });
  if (!store.data.value) notify('info', text.kept.images(run.note.data.name));
}

/** With model and images there: the cut, the checkpoint, and on. */
async function goOn(run: KeptRun): Promise<void> {
  const { note } = run;
  store.awaited.value = undefined;
  const { checkpoint } = await filesOf(run);
  const resumed = await runTask('open', async () => {
    const summary = note.cut && (await client.call('cut', note.cut));
    const resumed = await client.call('restore', { bytes: checkpoint.slice() });
    batch(() => {
      if (note.cut && summary) store.cut.value = { options: note.cut, summary };
      store.checkpoint.value = checkpoint;
      store.isTogether.value = note.cut === null;
      store.lossPoints.value = note.points;
      store.beforeStages.value = note.before;
      store.stages.value = note.stages;
      store.history.value = note.history;
      const plan = store.planOptions.value;
      if (resumed.cut && plan) store.cut.value = { options: plan, summary: resumed.cut };
      store.tune.value = resumed.finished ? 'finished' : 'stopped';
    });
    return resumed;
  });
  // The old place goes only when there is a new one.
  if (!resumed) return;
  keep(checkpoint);
  await writeNext();
  await forget(run.id);
  if (resumed.finished) return;
  if (note.cut) await fineTune(true);
  else await goOnTogether();
}

/** Goes on as soon as the images are there. */
export function followKept(): void {
  effect(() => {
    const run = store.awaited.value;
    if (!run || !store.data.value || store.busy.value) return;
    void goOn(run).catch(() => notify('bad', text.kept.gone));
  });
}
