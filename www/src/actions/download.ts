/** Handing the result over as files. */

import type { Which } from '../protocol.js';
import * as store from '../store.js';
import { client, runTask } from './session.js';

export type Part = 'model' | 'recipe' | 'report' | 'page';

const ENDINGS: Record<Part, string> = { model: '.onnx', recipe: '.recipe.json', report: '.report.json', page: '.report.html' };

export function fileName(part: Part): string {
  const name = store.model.value?.summary.name ?? 'model.onnx';
  return `${name.replace(/\.onnx$/i, '')}-lopped${ENDINGS[part]}`;
}

export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads the URL after the click has returned.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** The core refuses to hand out a model whose proof has not passed. */
export async function download(which: Which, part: Exclude<Part, 'page'>): Promise<void> {
  const beside = `${fileName('model')}.data`;
  const exported = await runTask('export', () => client.call('export', { which, beside }));
  if (!exported) return;
  if (part === 'model') {
    save(exported.model, fileName(part));
    if (exported.beside) save(exported.beside, beside);
  } else save(new Blob([exported[part]], { type: 'application/json' }), fileName(part));
}
