/** Handing the result over as files. */

import type { Which } from '../protocol.js';
import * as store from '../store.js';
import { client, runTask } from './session.js';

export type Part = 'model' | 'recipe' | 'report';

const ENDINGS: Record<Part, string> = { model: '.onnx', recipe: '.recipe.json', report: '.report.json' };

export function fileName(part: Part): string {
  const name = store.model.value?.summary.name ?? 'model.onnx';
  return `${name.replace(/\.onnx$/i, '')}-lopped${ENDINGS[part]}`;
}

function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads the URL after the click has returned.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** The core refuses to hand out a model whose proof has not passed. */
export async function download(which: Which, part: Part): Promise<void> {
  const exported = await runTask('export', () => client.call('export', { which }));
  if (!exported) return;
  if (part === 'model') save(new Blob([exported.model.slice()], { type: 'application/octet-stream' }), fileName(part));
  else save(new Blob([exported[part]], { type: 'application/json' }), fileName(part));
}
