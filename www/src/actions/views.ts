/** What is measured and fetched only to be looked at. */

import type { Progress, Recipe, Stage, Told, Zeros } from '../protocol.js';
import { needsOf, type CriterionName, single } from '../criteria.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import * as format from '../format.js';
import { forgetCut, makeCut, scoreImages } from './model.js';
import { follow, recipeOf } from './recipe.js';
import { fineTune } from './run.js';
import { client, runTask } from './session.js';
import { set } from './settings.js';

/** Images that each cut of a measurement is judged by. */
const JUDGES = 500;

/** Notes which fold-outs are open. */
export function notePanel(name: string, open: boolean): void {
  const others = [...store.panels.value].filter((other) => other !== name);
  store.panels.value = new Set(open ? [...others, name] : others);
}

/** The scores by which the present settings rank channels. */
export async function fetchScores(): Promise<void> {
  const options = store.planOptions.value;
  if (!options || store.unscored.value) return;
  try {
    const found = await client.call('scores', options);
    if (store.planOptions.value?.criterion === options.criterion) store.scores.value = found;
  } catch {
    // The estimate says why these settings make no plan.
    store.scores.value = undefined;
  }
}

const RATIOS = [0.2, 0.4, 0.6, 0.8];

export async function measureSensitivity(): Promise<void> {
  const plan = store.planOptions.value;
  if (!plan) return;
  const ask = { plan: { ...plan, target: { ratio: 0 } }, ratios: RATIOS, limit: JUDGES };
  const found = await runTask('sensitivity', (progress) => client.call('sensitivity', ask, { progress }));
  if (found) store.sensitivity.value = found;
}

/** Gives every group the ratio with which the worst loss of all is smallest, for a share of the MACs. */
export async function solveRatios(macs: number): Promise<boolean> {
  const plan = store.planOptions.value;
  if (!plan) return false;
  const solved = await runTask('sensitivity', () => client.call('balanced', { plan: { ...plan, group_ratios: {} }, macs }));
  if (!solved) return false;
  const short = Object.entries(solved.group_ratios).map(([group, ratio]) => [group, Math.round(ratio * 1000) / 1000]);
  set({ groupRatios: Object.fromEntries(short), scope: 'group', targetKind: 'ratio', amount: 0 });
  return true;
}

/** Rounds of timing, of which the fastest counts: whatever else the device does only adds to a time. */
const ROUNDS = 6;

export async function timeZeros(share: number): Promise<void> {
  const rounds: Zeros[] = [];
  const found = await runTask('zeros', async (progress) => {
    for (let round = 0; round < ROUNDS; round += 1) rounds.push(await client.call('zeros', { share }, { progress }));
    return rounds[0];
  });
  if (!found) return;
  const fastest = (times: number[]): number => Math.min(...times);
  store.zeros.value = {
    ...found,
    original: fastest(rounds.map((round) => round.original)),
    zeros: fastest(rounds.map((round) => round.zeros)),
    cut: found.cut === null ? null : fastest(rounds.flatMap((round) => round.cut ?? [])),
  };
}

/** The measure and the share of a cut as words. */
export function title(criterion: string, saved: number): string {
  const one = single(criterion);
  return text.sweep.row(one ? text.criteria[one.name][0] : criterion, format.percent(saved));
}

/** The stages that the model has something for. */
async function repairs(): Promise<Stage[]> {
  const { nodes } = await client.call('drawing', null);
  return nodes.some(({ op }) => op === 'BatchNormalization') ? ['lstsq', 'batchnorm'] : ['lstsq'];
}

/** Tries every measure at every share of the MACs, with the other settings as they are. */
export async function sweep(criteria: readonly CriterionName[], shares: readonly number[], repaired: boolean): Promise<void> {
  const own = store.settings.value;
  const plan = store.planOptions.value;
  if (!plan) return;
  const stages = repaired ? await repairs() : [];
  // Rules of a fine-tune, its steps among them, are none of a repair.
  const { tune: _, ...carried } = own.carried;
  const recipes = criteria.flatMap((criterion) =>
    shares.map((saved): [string, Recipe] => {
      const options = { ...plan, criterion, target: { macs: Math.round((1 - saved) * 1e4) / 1e4 } };
      const settings = { ...own, criterion, epochs: 0, recover: stages, carried };
      return [title(criterion, saved), recipeOf(options, settings, repaired)];
    }),
  );
  forgetCut();
  store.sweep.value = [];
  const listen = (progress: Progress): void => {
    if (progress.task !== 'sweep') return;
    const recipe = recipes[progress.done - 2]?.[1];
    store.sweep.value = [...store.sweep.value, { row: progress.row, recipe }];
  };
  const rows = await runTask('sweep', (progress) =>
    client.call('sweep', { recipes, limit: JUDGES }, {
      progress: (now) => {
        listen(now);
        // Only whole cuts count: what happens within one would make the bar jump.
        if (now.task === 'sweep') progress(now);
      },
    }),
  );
  // The engine opened the model anew for every cut.
  store.scored.value = undefined;
  if (rows) store.sweep.value = rows.map((row, index) => ({ row, recipe: recipes[index - 1]?.[1] }));
}

/** Makes a cut of the sweep the result: its settings, the cut, and its repair. */
export async function take(recipe: Recipe): Promise<void> {
  if (store.busy.value) return;
  if (!follow(recipe)) return;
  if (store.unscored.value && !(await scoreImages())) return;
  if ((await makeCut()) && recipe.tune) await fineTune();
}

/** The criteria that the images at hand are enough for. */
export function available(criterion: CriterionName): boolean {
  const needs = needsOf(criterion);
  const data = store.data.value;
  return needs === 'weights' || (data !== undefined && (needs === 'images' || data.labelled));
}

/** What ties two names together, or what holds one; a sentence where there is no answer. */
export async function askWhy(a: string, b: string) {
  try {
    if (b === '') return { kind: 'one' as const, told: await client.call('why', { name: a }) satisfies Told[] };
    return { kind: 'two' as const, coupling: await client.call('together', { a, b }) };
  } catch (thrown) {
    return { kind: 'none' as const, message: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}
