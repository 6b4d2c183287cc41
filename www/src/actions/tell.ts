/** Training takes long: the page's title says how far it is, and the browser says when it is done. */

import { effect } from '@preact/signals';
import * as format from '../format.js';
import * as store from '../store.js';
import { language, text } from '../strings.js';

/** Keeps the title in step with training. */
export function followTitle(): void {
  effect(() => {
    const running = store.task.value;
    const progress = store.tuneProgress.value;
    const training = running?.name === 'tune' || running?.name === 'train';
    // The language is named, because it changes the words.
    void language.value;
    if (!training || !progress) document.title = text.landing.page;
    else document.title = text.tell.title(format.percent(progress.step / Math.max(1, progress.steps)), progress.stretch?.what, running.paused);
  });
}

/** Whether the browser could be asked at all. */
export const canNotify = (): boolean => 'Notification' in window && Notification.permission !== 'denied';

/** Turns the message at the end on or off; the browser asks the person the first time. */
export async function setNotifies(wanted: boolean): Promise<void> {
  store.notifies.value = wanted && (await Notification.requestPermission()) === 'granted';
}

/** Says that training is done, to somebody who looks elsewhere. */
export function tellEnd(): void {
  if (!store.notifies.value || !document.hidden) return;
  const top1 = store.lossPoints.value.findLast(({ validation }) => validation !== null)?.validation ?? null;
  new Notification(text.tell.done(store.model.value?.summary.name ?? ''), {
    body: top1 === null ? '' : text.tell.accuracy(format.percent(top1, 1)),
  });
}
