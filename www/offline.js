// The service worker: answers from what it has kept, so that the page works without a network after its first visit.
// FILES and VERSION come from the build.
/* global FILES, VERSION */

const KEPT = `lopper-${VERSION}`;
/** The page itself puts the engine's module there: it knows which of the two it needs. */
const ENGINE = 'lopper-engine';

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES)));
});

self.addEventListener('activate', (event) => {
  const clean = async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith('lopper-') && name !== KEPT && name !== ENGINE);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(clean());
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || new URL(request.url).origin !== self.location.origin) return;
  // An address with a recipe is still the page.
  const asked = request.mode === 'navigate' ? './' : request;
  event.respondWith(caches.match(asked).then((kept) => kept ?? fetch(request)));
});
