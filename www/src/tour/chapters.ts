/** What each chapter of the tour asks for: where its controls stand, and how the page knows that it was done. */

import * as scene from '../graph/scene.js';
import * as store from '../store.js';

export const CHAPTERS = ['magnitude', 'median', 'gates', 'together', 'masks', 'recovery'] as const;
export type ChapterId = (typeof CHAPTERS)[number];

export interface Task {
  /** A selector of the control, which begins with its step's: the step stands in while the control is not there. */
  place: `#${string}`;
  /** `start`: the settings when the chapter began. */
  done(start: store.Settings): boolean;
}

/** A change of the slider that is no slip. */
const DRAGGED = 0.1;

const criterion = (): string => store.settings.value.criterion;
const open = (panel: string): boolean => store.panels.value.has(panel);
const cutBy = (criterion: string): boolean => store.cut.value?.options.criterion.startsWith(criterion) ?? false;

const CUT = '#cut .actions';
const MEASURE = '#cut .measure';

export const TASKS: Record<ChapterId, readonly [Task, Task, Task]> = {
  magnitude: [
    { place: MEASURE, done: () => criterion() === 'l1' },
    { place: '#cut #panel-scores', done: () => open('scores') },
    { place: '#cut .slider', done: (start) => Math.abs(store.settings.value.amount - start.amount) >= DRAGGED },
  ],
  median: [
    { place: MEASURE, done: () => criterion().startsWith('fpgm') },
    { place: CUT, done: () => cutBy('fpgm') },
    {
      place: '#evaluate .actions',
      done: () => cutBy('fpgm') && store.evaluations.value.original !== undefined && store.evaluations.value.cut !== undefined,
    },
  ],
  gates: [
    { place: MEASURE, done: () => criterion() === 'bn_scale' },
    { place: '#cut [data-name=scope]', done: () => store.settings.value.scope === 'global' },
    { place: MEASURE, done: () => /^(gate_|gbn_)/.test(criterion()) && !store.unscored.value },
  ],
  together: [
    { place: '#groups #panel-graph', done: () => open('graph') && scene.laidOut.value !== undefined },
    { place: '#groups .graph-canvas', done: () => scene.lit.value !== undefined },
    { place: '#groups #panel-why', done: () => scene.chain.value.size > 0 },
  ],
  masks: [
    { place: CUT, done: () => store.cutIsCurrent.value },
    { place: '#cut #panel-zeros', done: () => open('zeros') },
    { place: '#cut #panel-zeros', done: () => typeof store.zeros.value?.cut === 'number' },
  ],
  recovery: [
    { place: '#tune .settings', done: () => store.settings.value.recover.includes('lstsq') },
    { place: '#tune .actions', done: () => store.tune.value === 'finished' && store.stages.value.length > 0 },
    { place: '#evaluate .results', done: () => store.stages.value.length > 0 && store.evaluations.value.tuned !== undefined },
  ],
};
