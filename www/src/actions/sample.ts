/** One click, a finished result: the whole flow on the project's own model and images. */

import { batch } from '@preact/signals';
import * as store from '../store.js';
import { adopt, adoptData, makeCut } from './model.js';
import { evaluate, fineTune } from './run.js';
import { clearNotices, client, runTask } from './session.js';

async function openSample(): Promise<boolean> {
  const sample = await runTask('open', async () => client.call('sample', { bytes: await client.sampleModel() }));
  if (!sample) return false;
  batch(() => {
    adopt(sample.model, { kind: 'sample' });
    adoptData(sample.data, { kind: 'sample' });
    store.criterion.value = 'l1';
    store.scope.value = 'group';
    store.targetKind.value = 'ratio';
    store.amount.value = 0.5;
    store.floor.value = null;
    store.multiple.value = null;
  });
  return true;
}

export async function trySample(): Promise<void> {
  if (store.busy.value) return;
  clearNotices();
  const stages: [store.SampleStage, () => Promise<boolean>][] = [
    ['open', openSample],
    ['evaluate_original', () => evaluate('original')],
    ['cut', makeCut],
    ['evaluate_cut', () => evaluate('cut')],
    ['tune', () => fineTune()],
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
