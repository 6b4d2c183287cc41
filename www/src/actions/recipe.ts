/** Settings as a recipe: in the page's address, as a command line, as a file. */

import { batch, computed, effect } from '@preact/signals';
import { needsOf } from '../criteria.js';
import type { PlanOptions, Recipe, Target } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { fileName, save } from './download.js';
import { setNormalize } from './model.js';
import { client, notify } from './session.js';
import { set } from './settings.js';

/** A moment after the last change the address follows. */
const SETTLE_MS = 400;

const tunes = (own: store.Settings): boolean => {
  const { recover, epochs, learningRate, batch, loss } = store.DEFAULTS;
  const same = own.recover.length === recover.length && own.epochs === epochs && own.learningRate === learningRate && own.batch === batch && own.loss === loss;
  return store.tune.value !== 'none' || !same;
};

/** The recipe of a plan and the settings around it. */
export function recipeOf(plan: PlanOptions, own: store.Settings, tuned: boolean): Recipe {
  const looks = needsOf(own.criterion) !== 'weights';
  const normalize = store.normalize.value;
  const { recover, epochs, learningRate, batch, seed, loss } = own;
  const together = own.together && store.together.value;
  if (together) return { version: 1, cut: plan, data: { normalize, seed }, prune_train: together };
  return {
    version: 1,
    cut: plan,
    ...(looks ? { score: store.SCORE_IMAGES } : {}),
    ...(tuned || looks || normalize !== store.DEFAULT_NORMALIZE ? { data: { normalize, seed } } : {}),
    ...(tuned ? { tune: { epochs, learning_rate: learningRate, batch, seed, resume: false, recover, loss } } : {}),
  };
}

export const recipe = computed<Recipe | undefined>(() => {
  const plan = store.planOptions.value;
  return plan && recipeOf(plan, store.settings.value, tunes(store.settings.value));
});

/** The target's control, from what a recipe says. */
function control(target: Target): { targetKind: store.TargetKind; amount: number } | undefined {
  const share = (targetKind: store.TargetKind, stays: number) => ({ targetKind, amount: Math.round((1 - stays) * 1e4) / 1e4 });
  if ('ratio' in target) return { targetKind: 'ratio', amount: target.ratio };
  if ('macs' in target) return share('macs', target.macs);
  if ('parameters' in target) return share('parameters', target.parameters);
  if ('bytes' in target) return share('bytes', target.bytes);
  if ('latency' in target) return share('latency', target.latency.milliseconds / store.wholeTime(target.latency.table));
  return undefined;
}

/** Puts the controls where a recipe has them. */
export function follow(found: Recipe): void {
  const { cut, data, tune, prune_train } = found;
  const target = cut && control(cut.target);
  if (cut && !target) {
    notify('bad', text.recipe.onlyCommandLine);
    return;
  }
  batch(() => {
    if (cut && 'latency' in cut.target) store.latencies.value = cut.target.latency.table;
    set({
      ...store.DEFAULTS,
      ...(cut && {
        ...target,
        criterion: cut.criterion,
        reduction: cut.reduction ?? null,
        normalizer: cut.normalizer ?? null,
        scope: cut.scope,
        sets: cut.sets,
        groupRatios: cut.group_ratios,
        floor: cut.floor,
        minRatio: cut.min_ratio,
        maxRatio: cut.max_ratio,
        multiple: cut.multiple,
        locks: cut.locks,
        heads: cut.heads,
        planSteps: cut.steps,
        schedule: cut.schedule,
        seed: cut.seed,
      }),
      ...(tune && { recover: tune.recover ?? [], epochs: tune.epochs, learningRate: tune.learning_rate, batch: tune.batch, loss: tune.loss ?? 'auto' }),
      ...(prune_train && {
        together: prune_train.preset,
        short: prune_train.short,
        epochsBefore: prune_train.epochs ?? null,
        epochsAfter: prune_train.tune_epochs ?? null,
        batchTogether: prune_train.batch ?? null,
      }),
    });
  });
  if (data && data.normalize !== store.normalize.value) void setNormalize(data.normalize);
}

/** An address that holds a recipe: those of steps begin with a letter. */
const HOLDS_RECIPE = /^#(\d.*)$/;

/** Takes the recipe in the address, if there is one. */
export async function followAddress(hash = location.hash): Promise<void> {
  const compact = HOLDS_RECIPE.exec(hash)?.[1];
  if (!compact) return;
  try {
    follow(await client.call('readRecipe', { text: decodeURIComponent(compact) }));
  } catch {
    notify('bad', text.recipe.badLink);
    return;
  }
  store.linked.value = store.model.value === undefined;
  if (store.linked.value) notify('info', text.recipe.fromLink);
}

const compactOf = (wanted: Recipe): Promise<string> => client.call('compactRecipe', wanted);

/** Keeps the address in step with the settings, once a model is open. */
export function keepAddress(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  effect(() => {
    const wanted = recipe.value;
    if (!wanted || !store.model.value) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      compactOf(wanted).then(
        (compact) => history.replaceState(null, '', `#${compact}`),
        // The engine stopped or the settings make no sense: the address stays as it was.
        () => undefined,
      );
    }, SETTLE_MS);
  });
  // By the time of the event the address may have been written over with the settings as they were.
  window.addEventListener('hashchange', ({ newURL }) => void followAddress(new URL(newURL).hash));
}

export async function link(): Promise<string> {
  const wanted = recipe.value;
  const address = new URL(location.href);
  if (wanted) address.hash = await compactOf(wanted);
  return address.href;
}

/** A word of a POSIX shell. */
const quoted = (word: string): string => (/^[\w./:=,+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/** The same run on the command line. */
export async function commandLine(wanted = recipe.value): Promise<string> {
  if (!wanted) return '';
  const words = ['lopper', 'run', await compactOf(wanted), store.model.value?.summary.name ?? 'model.onnx'];
  words.push('-o', fileName('model'), '--report', fileName('report'));
  if (wanted.tune || wanted.score || wanted.prune_train) {
    const own = store.dataSource.value?.kind === 'files' ? store.data.value?.name : undefined;
    words.push('--data', own ?? text.recipe.imagesFile);
  }
  if (wanted.tune || wanted.prune_train) words.push('--device', 'auto');
  return words.map(quoted).join(' ');
}

export function saveRecipe(): void {
  const wanted = recipe.value;
  if (wanted) save(new Blob([JSON.stringify(wanted, null, 2)], { type: 'application/json' }), fileName('recipe'));
}

/** Puts words on the clipboard; false where the browser forbids it. */
export async function copy(words: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(words);
    return true;
  } catch {
    return false;
  }
}
