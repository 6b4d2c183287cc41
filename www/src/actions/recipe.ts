/** Settings as a recipe: in the page's address, as a command line, as a file. */

import { batch, computed, effect } from '@preact/signals';
import { needsOf } from '../criteria.js';
import type { PlanOptions, Recipe, Target, TuneLoss } from '../protocol.js';
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
  return store.tune.value !== 'none' || own.carried.tune !== undefined || !same;
};

/** The recipe of a plan and the settings around it. */
export function recipeOf(plan: PlanOptions, own: store.Settings, tuned: boolean): Recipe {
  const looks = needsOf(own.criterion) !== 'weights';
  const { carried } = own;
  const data = store.dataRead.value ?? store.dataOptions.value;
  const together = own.together && store.together.value;
  if (together) return { version: 1, cut: plan, data, prune_train: together };
  return {
    version: 1,
    cut: plan,
    ...(looks || carried.score ? { score: carried.score ?? store.SCORE_IMAGES } : {}),
    ...(tuned || looks || carried.data || data.normalize !== store.DEFAULT_NORMALIZE ? { data } : {}),
    ...(tuned ? { tune: store.tuneOptions(own) } : {}),
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

const TUNE_CONTROLS = ['epochs', 'learning_rate', 'batch', 'seed', 'resume', 'recover', 'loss'];
const TOGETHER_CONTROLS = ['preset', 'short', 'epochs', 'tune_epochs', 'batch', 'seed'];
const LOSSES: readonly unknown[] = ['auto', 'cross-entropy', 'distill'] satisfies TuneLoss[];

const without = (rules: object, shown: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(rules).filter(([name]) => !shown.includes(name)));

/** What the controls have no place for. One seed is theirs, the cut's: another one is carried, too. */
function carriedOf({ score, data, tune, prune_train }: Recipe, cut: PlanOptions): store.Carried {
  const own = (seed = 0): { seed?: number } => (seed === cut.seed ? {} : { seed });
  // A recipe that is silent on it looks at all images.
  const looks = score ?? (needsOf(cut.criterion) === 'weights' ? undefined : { batch: 64, limit: null });
  const { batch: images, limit } = store.SCORE_IMAGES;
  const usual = !looks || (looks.batch === images && looks.limit === limit);
  const { validation, test } = data ?? {};
  const split = data && { ...own(data.seed), ...(validation != null && { validation }), ...(test != null && { test }) };
  const loss = tune?.loss !== undefined && !LOSSES.includes(tune.loss) ? { loss: tune.loss } : {};
  return {
    ...(usual ? {} : { score: { batch: looks.batch, limit: looks.limit ?? null } }),
    ...(split && Object.keys(split).length > 0 && { data: split }),
    ...(tune && { tune: { ...without(tune, TUNE_CONTROLS), ...own(tune.seed), ...loss } }),
    ...(prune_train && { prune_train: { ...without(prune_train, TOGETHER_CONTROLS), ...own(prune_train.seed) } }),
  };
}

/** Whether the page has a way for all that a recipe does: masks, and training of what is not cut, are the command line's. */
function followable(found: Recipe): found is Recipe & { cut: PlanOptions } {
  const { cut, mask, sparse, tune, prune_train } = found;
  if (mask?.length || sparse || !cut || !control(cut.target)) return false;
  return !prune_train || (!tune && Boolean(prune_train.preset));
}

/** Puts the controls where a recipe has them; false where the page cannot do what it says. */
export function follow(found: Recipe): boolean {
  if (!followable(found)) {
    notify('bad', text.recipe.onlyCommandLine);
    return false;
  }
  const { cut, data, tune, prune_train } = found;
  batch(() => {
    if ('latency' in cut.target) store.latencies.value = cut.target.latency.table;
    set({
      ...store.DEFAULTS,
      ...control(cut.target),
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
      carried: carriedOf(found, cut),
      ...(tune && { recover: tune.recover ?? [], epochs: tune.epochs, learningRate: tune.learning_rate, batch: tune.batch, loss: tune.loss ?? 'auto' }),
      ...(prune_train && {
        together: prune_train.preset,
        short: prune_train.short,
        epochsBefore: prune_train.epochs ?? null,
        epochsAfter: prune_train.tune_epochs ?? null,
        batchTogether: prune_train.batch ?? null,
      }),
    });
    // With the settings: otherwise the criterion would look at the images as they were read before.
    if (data) void setNormalize(data.normalize);
  });
  if (store.further.value.length > 0) notify('info', text.recipe.further(store.further.value));
  return true;
}

/** Leaves out what no control shows; images are read as the controls have it. */
export function leaveFurtherOut(): void {
  // At once: otherwise the criterion would look at the images first, and they would not be read again meanwhile.
  batch(() => {
    set({ carried: {} });
    void setNormalize(store.normalize.value);
  });
}

/** An address that holds a recipe: those of steps begin with a letter. */
const HOLDS_RECIPE = /^#(\d.*)$/;

/** Takes the recipe in the address, if there is one. */
export async function followAddress(hash = location.hash): Promise<void> {
  const compact = HOLDS_RECIPE.exec(hash)?.[1];
  if (!compact) return;
  try {
    if (!follow(await client.call('readRecipe', { text: decodeURIComponent(compact) }))) return;
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
