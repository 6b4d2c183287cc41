/** Changing settings, and the way back and forth between them. */

import { batch, signal } from '@preact/signals';
import * as store from '../store.js';

/** As many steps back as anybody remembers. */
const MOST = 200;
/** Changes of one control that follow each other this fast are one: a slider is one drag. */
const ONE_CHANGE_MS = 800;

const past: store.Settings[] = [];
const future: store.Settings[] = [];
/** How many steps there are, back and forth. */
export const steps = signal({ back: 0, forth: 0 });

let lastKey = '';
let lastAt = 0;

function show(settings: store.Settings): void {
  batch(() => {
    store.settings.value = settings;
    steps.value = { back: past.length, forth: future.length };
  });
}

/** Changes some settings. */
export function set(patch: Partial<store.Settings>): void {
  const now = performance.now();
  const key = Object.keys(patch).join();
  if (key !== lastKey || now - lastAt > ONE_CHANGE_MS) {
    past.push(store.settings.value);
    if (past.length > MOST) past.shift();
  }
  future.length = 0;
  lastKey = key;
  lastAt = now;
  show({ ...store.settings.value, ...patch });
}

function move(from: store.Settings[], to: store.Settings[]): void {
  if (store.busy.value) return;
  const next = from.pop();
  if (!next) return;
  to.push(store.settings.value);
  lastKey = '';
  show(next);
}

export const undo = (): void => move(past, future);
export const redo = (): void => move(future, past);

const writes = (target: EventTarget | null): boolean =>
  target instanceof HTMLTextAreaElement || (target instanceof HTMLInputElement && /^(text|number|search)$/.test(target.type));

/** Ctrl+Z and Ctrl+Shift+Z, but where text is written: there they are the browser's. */
export function listenForUndo(): void {
  document.addEventListener('keydown', (event) => {
    if (event.key.toLowerCase() !== 'z' || !(event.ctrlKey || event.metaKey) || event.altKey || writes(event.target)) return;
    event.preventDefault();
    if (event.shiftKey) redo();
    else undo();
  });
}

export function toggleLock(group: string): void {
  const { locks } = store.settings.value;
  set({ locks: locks.includes(group) ? locks.filter((lock) => lock !== group) : [...locks, group] });
}
