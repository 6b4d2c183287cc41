/** Gathers what the report tells of, and hands it over as one file. */

import type { Drawing, Recipe, Which } from '../protocol.js';
import { page } from '../report/page.js';
import { boxes } from '../report/pictures.js';
import { sizesOf } from '../graph/scene.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { fileName, save } from './download.js';
import { commandLine } from './recipe.js';
import { client, runTask } from './session.js';

async function drawn(drawing: Drawing) {
  const shown = boxes(drawing, store.model.value?.pinned ?? []);
  const widths = (store.model.value?.groups ?? []).map(({ channels }) => ({ all: channels, left: channels }));
  const arrows = shown.arrows.map(({ from, to }): [number, number] => [from, to]);
  return { drawing, shown, layout: await client.call('layout', { sizes: sizesOf(shown, drawing, widths), arrows }) };
}

/** The report of the last cut, in the language in use. */
export async function downloadPage(which: Which): Promise<void> {
  const [model, cut] = [store.model.value, store.cut.value];
  if (!model || !cut) return;
  const all: Which[] = which === 'tuned' ? ['original', 'cut', 'tuned'] : ['original', 'cut'];
  const written = await runTask('export', async () => {
    const { recipe } = await client.call('export', { which, beside: `${fileName('model')}.data` });
    const engine = store.engine.value;
    return page(
      {
        model,
        cut: cut.summary,
        evaluations: all.flatMap((name) => {
          const evaluation = store.evaluations.value[name];
          return evaluation ? [[text.which[name], evaluation] as const] : [];
        }),
        stages: store.stages.value,
        before: store.beforeStages.value,
        points: store.lossPoints.value,
        scores: await client.call('scores', cut.options),
        drawn: await drawn(store.drawing.value ?? (await client.call('drawing', null))),
        recipe,
        command: await commandLine(JSON.parse(recipe) as Recipe),
        version: engine.state === 'ready' ? engine.version : '',
        device: store.device.value,
      },
      new Date(),
    );
  });
  if (written) save(new Blob([written], { type: 'text/html' }), fileName('page'));
}
