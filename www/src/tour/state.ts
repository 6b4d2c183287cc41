/** Where the tour is, and what of it was done. It is kept beside the address, which holds the settings. */

import { computed, effect, signal } from '@preact/signals';
import { openSample } from '../actions/sample.js';
import * as store from '../store.js';
import { CHAPTERS, type ChapterId, TASKS } from './chapters.js';

const KEY = 'lopper-tour';

interface Kept {
  chapter: ChapterId;
  /** `chapter:task` of each task that was done. */
  done: readonly string[];
}

const NEW: Kept = { chapter: CHAPTERS[0], done: [] };

function stored(): Kept {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? 'null') as Partial<Kept> | null;
    const chapter = CHAPTERS.find((known) => known === kept?.chapter);
    if (chapter && Array.isArray(kept?.done)) return { chapter, done: kept.done.map(String) };
  } catch {
    // Storage is forbidden, or holds what is no progress: the tour begins.
  }
  return NEW;
}

const kept = signal<Kept>(stored());
export const running = signal(false);
export const chapter = computed(() => kept.value.chapter);
export const begun = computed(() => kept.value.done.length > 0);
/** The tour's controls are the sample's. */
export const onSample = computed(() => store.model.value !== undefined && store.modelSource.value?.kind === 'sample');

let start = store.settings.value;

export const taskDone = (of: ChapterId, task: number): boolean => kept.value.done.includes(`${of}:${task}`);
export const chapterDone = (of: ChapterId): boolean => TASKS[of].every((_, task) => taskDone(of, task));
/** The first task of the chapter that is not done; `undefined` once all are. */
export const nextTask = computed(() => {
  const task = TASKS[chapter.value].findIndex((_, index) => !taskDone(chapter.value, index));
  return task < 0 ? undefined : task;
});

export function goTo(next: ChapterId): void {
  start = store.settings.value;
  kept.value = { ...kept.value, chapter: next };
}

/** Goes on where it was left; opens the sample where no model is open that it would replace. */
export async function startTour(): Promise<void> {
  running.value = true;
  goTo(kept.value.chapter);
  if (!store.model.value) await takeSample();
}

/** Opens the sample, in place of whatever is open. */
export async function takeSample(): Promise<void> {
  if (!store.busy.value && (await openSample())) goTo(kept.value.chapter);
}

export const leaveTour = (): void => {
  running.value = false;
};

export function startOver(): void {
  kept.value = NEW;
  goTo(NEW.chapter);
}

/** Ticks tasks as they are done, and keeps the progress for the next visit. */
export function followTour(): void {
  effect(() => {
    if (!running.value || !onSample.value) return;
    const of = chapter.value;
    const fresh = TASKS[of].flatMap(({ done }, task) => (done(start) && !taskDone(of, task) ? [`${of}:${task}`] : []));
    if (fresh.length > 0) kept.value = { ...kept.value, done: [...kept.value.done, ...fresh] };
  });
  effect(() => {
    try {
      localStorage.setItem(KEY, JSON.stringify(kept.value));
    } catch {
      // Storage may be forbidden; then the progress lasts as long as the page.
    }
  });
}
