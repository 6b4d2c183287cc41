/** The page's state, all of it. Views read it; only `actions/` write it. */

import { computed, signal } from '@preact/signals';
import type { Picked } from './files.js';
import type {
  Criterion,
  CutSummary,
  DataSummary,
  DeviceChoice,
  DeviceInfo,
  Estimate,
  Evaluation,
  OpenedModel,
  PlanOptions,
  Scope,
  TuneProgress,
  Which,
} from './protocol.js';

/** Where bytes came from, so that a new worker can read them again. */
export type Source = { kind: 'sample' } | { kind: 'files'; files: readonly Picked[] };

export type Engine =
  | { state: 'loading' }
  | { state: 'ready'; version: string }
  | { state: 'recovering' }
  | { state: 'failed'; message: string };

export type TaskName = 'open' | 'data' | 'cut' | 'evaluate' | 'tune' | 'device' | 'export' | 'recover';

/** What runs now. One task at a time: the worker is one thread. */
export interface Task {
  name: TaskName;
  /** Which model is evaluated. */
  which: Which | undefined;
  done: number;
  total: number;
  paused: boolean;
  stopping: boolean;
}

export interface Notice {
  id: number;
  tone: 'info' | 'good' | 'bad';
  message: string;
  code: string | undefined;
}

export interface LossPoint {
  step: number;
  loss: number;
  validation: number | null;
}

export type TuneState = 'none' | 'running' | 'paused' | 'stopped' | 'finished';

/** The stages of the sample's flow, in order; `undefined` when it does not run. */
export type SampleStage = 'open' | 'evaluate_original' | 'cut' | 'evaluate_cut' | 'tune' | 'evaluate_tuned' | 'done';

export const engine = signal<Engine>({ state: 'loading' });
export const device = signal<DeviceInfo | undefined>(undefined);
export const deviceChoice = signal<DeviceChoice>('auto');
export const task = signal<Task | undefined>(undefined);
export const notices = signal<Notice[]>([]);
export const sampleStage = signal<SampleStage | undefined>(undefined);

export const modelSource = signal<Source | undefined>(undefined);
export const model = signal<OpenedModel | undefined>(undefined);

export const criterion = signal<Criterion>('l1');
export const scope = signal<Scope>('group');
export const targetKind = signal<'ratio' | 'macs'>('ratio');
/** Share to cut, of the channels or of the MACs as `targetKind` says. */
export const amount = signal(0.5);
export const floor = signal<number | null>(null);
export const multiple = signal<number | null>(null);
export const seed = signal(0);
export const locks = signal<ReadonlySet<string>>(new Set());

export const estimate = signal<Estimate | undefined>(undefined);
/** Why the plan cannot be made as asked. */
export const planProblem = signal<string | undefined>(undefined);

export const cut = signal<{ options: PlanOptions; summary: CutSummary } | undefined>(undefined);

export const dataSource = signal<Source | undefined>(undefined);
export const data = signal<DataSummary | undefined>(undefined);
export const DEFAULT_NORMALIZE = 'imagenet';
export const normalize = signal(DEFAULT_NORMALIZE);

export const evaluations = signal<Partial<Record<Which, Evaluation>>>({});

export const epochs = signal(3);
export const learningRate = signal(0.02);
export const batch = signal(32);
export const tune = signal<TuneState>('none');
export const tuneProgress = signal<TuneProgress | undefined>(undefined);
export const lossPoints = signal<LossPoint[]>([]);
export const checkpoint = signal<Uint8Array | undefined>(undefined);

export const planOptions = computed<PlanOptions>(() => ({
  criterion: criterion.value,
  scope: scope.value,
  target: targetKind.value === 'ratio' ? { ratio: amount.value } : { macs: round4(1 - amount.value) },
  floor: floor.value,
  multiple: multiple.value,
  locks: [...locks.value],
  seed: seed.value,
}));

/** The cut on display is the one that the settings ask for. */
export const cutIsCurrent = computed(
  () => cut.value !== undefined && JSON.stringify(cut.value.options) === JSON.stringify(planOptions.value),
);

/** The numbers before and after: the cut's when it is current, else the estimate's. */
export const shown = computed<Estimate | undefined>(() => (cutIsCurrent.value ? cut.value?.summary : estimate.value));

/** The best model there is to download. */
export const result = computed<Which | undefined>(() => {
  if (!cut.value) return undefined;
  return tune.value === 'finished' || tune.value === 'stopped' ? 'tuned' : 'cut';
});

export const busy = computed(() => task.value !== undefined || engine.value.state !== 'ready');

/** `1 - 0.7` is not 0.3 in binary; the recipe should say what the slider said. */
function round4(value: number): number {
  return Math.round(value * 10000) / 10000;
}
