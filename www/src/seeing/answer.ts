/** Answers of the engine that follow what they depend on. */

import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { PlanOptions } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';

export interface Asked<T> {
  value: T | undefined;
  problem: string | undefined;
  waiting: boolean;
}

/** A slider that moves asks for much; only where it rests counts. */
const SETTLE_MS = 120;

/** Asks anew whenever a part of `key` changes; the newest wish counts, and the old answer stays until it is there. */
export function useAnswer<T>(key: readonly unknown[], ask: (() => Promise<T>) | undefined): Asked<T> {
  const state = useSignal<Asked<T>>({ value: undefined, problem: undefined, waiting: ask !== undefined });
  useEffect(() => {
    if (!ask) {
      state.value = { value: undefined, problem: undefined, waiting: false };
      return undefined;
    }
    let wanted = true;
    state.value = { ...state.value, waiting: true };
    const timer = setTimeout(() => {
      ask().then(
        (value) => {
          if (wanted) state.value = { value, problem: undefined, waiting: false };
        },
        (thrown: unknown) => {
          const problem = thrown instanceof Error ? thrown.message : String(thrown);
          if (wanted) state.value = { value: undefined, problem, waiting: false };
        },
      );
    }, SETTLE_MS);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [...key, ask === undefined]);
  return state.value;
}

/** The plan that views show, and why there is none. */
export function shownPlan(): { plan: PlanOptions | undefined; why: string | undefined; key: string } {
  const plan = store.planOptions.value;
  if (store.unscored.value) return { plan: undefined, why: text.seeing.unscored, key: '' };
  if (!plan || store.planProblem.value) return { plan: undefined, why: text.seeing.noPlan, key: '' };
  return { plan, why: undefined, key: JSON.stringify(plan) };
}
