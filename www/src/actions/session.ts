/** The one client, the one task at a time, and the way back after the engine stopped. */

import { batch } from '@preact/signals';
import { Client, ENGINE_STOPPED, Failed } from '../client.js';
import type { DeviceChoice, Progress, Which } from '../protocol.js';
import { fetchViews } from '../lazy.js';
import * as store from '../store.js';
import { fetchLanguages, text } from '../strings.js';
import { keep } from './kept.js';
import { reopen } from './reopen.js';

/** After this long without an answer to "stop", the worker is ended and started again. */
const STOP_PATIENCE_MS = 4000;

export const client = new Client({
  checkpoint: (bytes) => {
    store.checkpoint.value = bytes;
    keep(bytes);
  },
  died: (message) => {
    // During a recovery its own `await` fails; one that runs must not start another.
    if (store.engine.value.state === 'ready') void recover(message);
  },
});

let noticeId = 0;

export function notify(tone: store.Notice['tone'], message: string, code?: string): void {
  noticeId += 1;
  store.notices.value = [...store.notices.value.slice(-2), { id: noticeId, tone, message, code }];
}

/** A new beginning needs no old complaints. */
export function clearNotices(): void {
  store.notices.value = [];
}

export function dismiss(id: number): void {
  store.notices.value = store.notices.value.filter((notice) => notice.id !== id);
}

const sentence = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/** Shows a failure, unless the person asked for it or the recovery already speaks of it. */
function report(thrown: unknown): void {
  if (thrown instanceof Failed && (thrown.code === ENGINE_STOPPED || thrown.code === 'cancelled')) return;
  notify('bad', sentence(thrown), thrown instanceof Failed ? thrown.code : undefined);
}

/** Runs one task with its progress on display. `undefined`: it failed or was stopped, and the page has said so. */
export async function runTask<T>(
  name: store.TaskName,
  work: (progress: (progress: Progress) => void) => Promise<T>,
  which?: Which,
): Promise<T | undefined> {
  if (store.busy.value) return undefined;
  const mine: store.Task = { name, which, done: 0, total: 0, paused: false, stopping: false };
  store.task.value = mine;
  const current = (): store.Task | undefined => (store.task.value?.name === name ? store.task.value : undefined);
  try {
    return await work((progress) => {
      const now = current();
      if (now && 'done' in progress) store.task.value = { ...now, done: progress.done, total: progress.total };
    });
  } catch (thrown) {
    report(thrown);
    return undefined;
  } finally {
    if (current()) store.task.value = undefined;
  }
}

/** Asks the running task to stop. One that does not answer loses its worker. */
export function cancel(): void {
  const running = store.task.value;
  if (!running || running.stopping) return;
  const stopping = { ...running, stopping: true, paused: false };
  store.task.value = stopping;
  client.control('cancel');
  setTimeout(() => {
    const now = store.task.value;
    if (now?.stopping && now.name === running.name && now.which === running.which) {
      client.stop(text.errors.tookTooLong);
      void recover(text.errors.tookTooLong);
    }
  }, STOP_PATIENCE_MS);
}

export function setPaused(paused: boolean): void {
  const running = store.task.value;
  if (!running) return;
  store.task.value = { ...running, paused };
  if (running.name === 'tune' || running.name === 'train') store.tune.value = paused ? 'paused' : 'running';
  client.control(paused ? 'pause' : 'resume');
}

async function askDevice(choice: DeviceChoice): Promise<void> {
  store.device.value = await client.call('device', { choice });
}

/** Changes the device; the core says which it took and why. */
export async function chooseDevice(choice: DeviceChoice): Promise<void> {
  const before = store.deviceChoice.value;
  clearNotices();
  store.deviceChoice.value = choice;
  const done = await runTask('device', async () => {
    await askDevice(choice);
    return true;
  });
  if (!done && store.engine.value.state === 'ready') store.deviceChoice.value = before;
}

/** Loads the engine while the person reads. */
export async function boot(): Promise<void> {
  try {
    const views = fetchViews().catch(() => undefined);
    const version = await client.start();
    const languages = fetchLanguages();
    await askDevice(store.deviceChoice.value);
    await Promise.all([views, languages]);
    store.engine.value = { state: 'ready', version };
  } catch (thrown) {
    store.engine.value = { state: 'failed', message: sentence(thrown) };
  }
}

/** Starts a new worker and brings back what the old one held. */
export async function recover(why: string): Promise<void> {
  batch(() => {
    store.engine.value = { state: 'recovering' };
    store.task.value = { name: 'recover', which: undefined, done: 0, total: 0, paused: false, stopping: false };
    store.sampleStage.value = undefined;
    // What was tuned lives on in the checkpoint only.
    if (store.tune.value !== 'none') store.tune.value = store.checkpoint.value ? (store.isTogether.value ? 'broken' : 'stopped') : 'none';
  });
  try {
    const version = await client.start();
    await askDevice(store.deviceChoice.value);
    const back = await reopen(client);
    store.engine.value = { state: 'ready', version };
    notify('info', text.recovery.done(why, back));
  } catch (thrown) {
    await startEmpty(why, text.said(sentence(thrown)));
  } finally {
    store.task.value = undefined;
  }
}

/** The way back failed: an engine without the model is better than none. */
async function startEmpty(why: string, reopenWhy: string): Promise<void> {
  try {
    const version = await client.start();
    await askDevice('cpu');
    batch(() => {
      store.deviceChoice.value = 'cpu';
      store.model.value = undefined;
      store.modelSource.value = undefined;
      store.data.value = undefined;
      store.dataSource.value = undefined;
      store.cut.value = undefined;
      store.estimate.value = undefined;
      store.evaluations.value = {};
      store.tune.value = 'none';
      store.lossPoints.value = [];
      store.checkpoint.value = undefined;
      store.engine.value = { state: 'ready', version };
    });
    notify('bad', text.recovery.withoutModel(why, reopenWhy), ENGINE_STOPPED);
  } catch (thrown) {
    store.engine.value = { state: 'failed', message: sentence(thrown) };
  }
}
