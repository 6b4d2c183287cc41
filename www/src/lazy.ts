/** Views that the first paint does without. */

let views: Promise<typeof import('./seeing/views.js')> | undefined;

/** Fetches them, once. Asked for while the engine loads, so that nothing is requested later. */
export function fetchViews(): Promise<typeof import('./seeing/views.js')> {
  views ??= import('./seeing/views.js');
  return views;
}
