/** Evaluating and fine-tuning. */

import { batch } from '@preact/signals';
import type { Progress, StageNote, TogetherSummary, Which } from '../protocol.js';
import * as store from '../store.js';
import { keepEnd } from './kept.js';
import { forgetCut } from './model.js';
import { client, runTask } from './session.js';
import { tellEnd } from './tell.js';

export async function evaluate(which: Which): Promise<boolean> {
  const evaluation = await runTask(
    'evaluate',
    (progress) => client.call('evaluate', { which, limit: null }, { progress }),
    which,
  );
  if (!evaluation) return false;
  store.evaluations.value = { ...store.evaluations.value, [which]: evaluation };
  return true;
}

/** The models that can be evaluated now, in order. */
export function candidates(): Which[] {
  const all: Which[] = ['original'];
  if (store.cut.value) all.push('cut');
  if (store.result.value === 'tuned') all.push('tuned');
  return all;
}

/** Evaluates what has no result yet; everything again when nothing is missing. */
export async function evaluateAll(): Promise<void> {
  const all = candidates();
  const missing = all.filter((which) => !store.evaluations.value[which]);
  for (const which of missing.length > 0 ? missing : all) {
    if (!(await evaluate(which))) return;
  }
}

function onTuneProgress(progress: Progress): void {
  if (progress.task === 'recover') store.stage.value = progress;
  if (progress.task === 'stage') onStage(progress);
  if (progress.task !== 'tune') return;
  const { step, loss, validation_top1, stretch } = progress;
  const uncut = store.model.value?.summary.macs ?? 0;
  batch(() => {
    store.stage.value = undefined;
    store.tuneProgress.value = progress;
    const point: store.LossPoint = {
      step: stretch?.taken ?? step,
      loss,
      validation: validation_top1,
      macs: stretch && uncut > 0 ? stretch.macs / uncut : null,
    };
    store.lossPoints.value = [...store.lossPoints.value, point];
  });
}

/** Notes a stage of pruning and training together; its accuracy stands where the curve has come to. */
function onStage({ task: _, ...note }: StageNote & { task: 'stage' }): void {
  store.history.value = [...store.history.value, note];
  const last = store.lossPoints.value.at(-1);
  if (last && note.validation_top1 !== null) {
    store.lossPoints.value = [...store.lossPoints.value.slice(0, -1), { ...last, validation: note.validation_top1 }];
  }
}

/** What a training that begins anew forgets. */
function forgetTraining(): void {
  store.lossPoints.value = [];
  store.stages.value = [];
  store.history.value = [];
  store.held.value = [];
  store.beforeStages.value = null;
  store.learnt.value = undefined;
  store.checkpoint.value = undefined;
}

function beginTraining(resume: boolean): void {
  batch(() => {
    if (!resume) forgetTraining();
    store.tuneProgress.value = undefined;
    store.tune.value = 'running';
    const { tuned: _, ...others } = store.evaluations.value;
    store.evaluations.value = others;
  });
}

/** Gives the engine the last checkpoint, if it does not hold it already. What is beyond it is trained again, and drawn again. */
async function restore(): Promise<void> {
  const checkpoint = store.checkpoint.value;
  if (!checkpoint) return;
  const { steps } = await client.call('restore', { bytes: checkpoint.slice() });
  if (!store.isTogether.value) store.lossPoints.value = store.lossPoints.value.filter(({ step }) => step <= steps[0]);
}

/** Fine-tunes the cut model. `resume`: goes on from the last checkpoint. */
export async function fineTune(resume = false): Promise<boolean> {
  const own = store.settings.value;
  // The choice is between labels and the uncut model; without labels the engine finds what there is to learn.
  const loss = store.data.value?.labelled ? own.loss : 'auto';
  const options = { ...store.tuneOptions({ ...own, loss }), resume };
  beginTraining(resume);
  store.isTogether.value = false;
  const summary = await runTask('tune', async () => {
    if (resume) await restore();
    return client.call('tune', options, { progress: onTuneProgress });
  });
  store.stage.value = undefined;
  if (summary) {
    batch(() => {
      store.tune.value = summary.finished ? 'finished' : 'stopped';
      store.stages.value = summary.stages;
      store.beforeStages.value = summary.before_top1;
      store.learnt.value = summary;
    });
    ended(summary.finished);
  } else if (store.engine.value.state === 'ready') store.tune.value = 'none';
  return summary?.finished ?? false;
}

/** Fine-tunes, and then says what it brought. */
export async function fineTuneAndEvaluate(resume = false): Promise<void> {
  await fineTune(resume);
  if (store.result.value === 'tuned' && store.evaluations.value.original) await evaluate('tuned');
}

/** Prunes and trains together, from what was opened. */
export async function pruneTrain(): Promise<boolean> {
  const [method, cut] = [store.together.value, store.planOptions.value];
  if (!method || !cut || store.busy.value) return false;
  forgetCut();
  await train(() => client.call('pruneTrain', { method, cut }, { progress: onTuneProgress }), false);
  return store.tune.value === 'finished';
}

/** Goes on with it from the last checkpoint. */
export async function goOnTogether(): Promise<void> {
  await train(async () => {
    await restore();
    return client.call('resumePruneTrain', null, { progress: onTuneProgress });
  }, true);
}

async function train(work: () => Promise<TogetherSummary>, resume: boolean): Promise<void> {
  beginTraining(resume);
  store.isTogether.value = true;
  const summary = await runTask('train', work);
  const options = store.planOptions.value;
  if (summary && options) {
    batch(() => {
      store.cut.value = { options, summary: summary.cut };
      store.tune.value = summary.finished ? 'finished' : 'stopped';
      store.history.value = summary.stages;
      store.held.value = summary.held;
    });
    ended(summary.finished);
    if (store.evaluations.value.original) await evaluate('tuned');
  } else if (store.engine.value.state === 'ready') store.tune.value = store.checkpoint.value ? 'broken' : 'none';
}

/** Keeps the end of a run, and tells of it. */
function ended(finished: boolean): void {
  keepEnd();
  if (finished) tellEnd();
}
