/** One click, a finished result: the whole flow on the project's own model and images. */

import { batch } from '@preact/signals';
import * as store from '../store.js';
import { adopt, adoptData, makeCut, scoreImages } from './model.js';
import { evaluate, fineTune, pruneTrain } from './run.js';
import { clearNotices, client, runTask } from './session.js';
import { set } from './settings.js';

export async function openSample(): Promise<boolean> {
  const sample = await runTask('open', async () => client.call('sample', { bytes: await client.sampleModel() }));
  if (!sample) return false;
  const linked = store.linked.value;
  batch(() => {
    adopt(sample.model, { kind: 'sample' });
    adoptData(sample.data, { kind: 'sample' });
    if (!linked) set(store.DEFAULTS);
  });
  return true;
}

/** A link's criterion may have to look at the images first. */
async function cutSample(): Promise<boolean> {
  return (!store.unscored.value || (await scoreImages())) && makeCut();
}

export async function trySample(): Promise<void> {
  if (store.busy.value) return;
  clearNotices();
  const stages: [store.SampleStage, () => Promise<boolean>][] = [
    ['open', openSample],
    ['evaluate_original', () => evaluate('original')],
    ['cut', cutSample],
    ['evaluate_cut', () => evaluate('cut')],
    ['tune', () => (store.settings.value.together ? pruneTrain() : fineTune())],
    ['evaluate_tuned', () => evaluate('tuned')],
  ];
  for (const [stage, work] of stages) {
    store.sampleStage.value = stage;
    if (!(await work())) {
      store.sampleStage.value = undefined;
      return;
    }
  }
  store.sampleStage.value = 'done';
}
