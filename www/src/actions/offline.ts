/** Working without a network, and hearing of new versions. */

import { text } from '../strings.js';
import { notify } from './session.js';

/** Registers the service worker. A page that is served without one, as in development, works as well. */
export async function workOffline(): Promise<void> {
  if (!('serviceWorker' in navigator) || import.meta.env.DEV) return;
  try {
    const registration = await navigator.serviceWorker.register('./offline.js');
    registration.addEventListener('updatefound', () => {
      const fresh = registration.installing;
      // The first worker of all is no news.
      if (!navigator.serviceWorker.controller) return;
      fresh?.addEventListener('statechange', () => {
        if (fresh.state === 'installed') notify('info', text.offline.update);
      });
    });
  } catch {
    // Private windows may forbid it.
  }
}
