/** The page's state, all of it. Views read it; only `actions/` write it. */

import { computed, signal } from '@preact/signals';
import type { Picked } from './files.js';
import type { KeptRun } from './kept.js';
import { needsOf } from './criteria.js';
import type {
  CutSummary,
  DataOptions,
  DataSummary,
  DeviceChoice,
  DeviceInfo,
  Drawing,
  Estimate,
  Evaluation,
  GroupScores,
  LatencyTable,
  Normalizer,
  OpenedModel,
  PlanOptions,
  Preset,
  Recipe,
  Reduction,
  Schedule,
  Scope,
  ScoreImages,
  Sensitivity,
  Stage,
  StageNote,
  StageProgress,
  StageSummary,
  SweepRow,
  Target,
  Together,
  TogetherSummary,
  TuneLoss,
  TuneOptions,
  TuneProgress,
  TuneSummary,
  Which,
  Zeros,
} from './protocol.js';

/** Where bytes came from, so that a new worker can read them again. */
export type Source = { kind: 'sample' } | { kind: 'files'; files: readonly Picked[] };

export type Engine =
  | { state: 'loading' }
  | { state: 'ready'; version: string }
  | { state: 'recovering' }
  | { state: 'failed'; message: string };

export type TaskName =
  | 'open'
  | 'data'
  | 'score'
  | 'latency'
  | 'cut'
  | 'evaluate'
  | 'sensitivity'
  | 'sweep'
  | 'compare'
  | 'agreement'
  | 'silent'
  | 'zeros'
  | 'tune'
  | 'train'
  | 'device'
  | 'export'
  | 'recover';

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
  /** MACs of the network that was trained, as a share of the uncut one's. */
  macs: number | null;
}

/** `broken`: off in the middle of pruning and training together, before there is a cut. */
export type TuneState = 'none' | 'running' | 'paused' | 'broken' | 'stopped' | 'finished';

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

export const TARGETS = ['ratio', 'macs', 'parameters', 'bytes', 'latency'] as const;
export type TargetKind = (typeof TARGETS)[number];

/** What a recipe says that no control shows, under its own words: it is carried out, and written out again. */
export interface Carried {
  score?: ScoreImages;
  data?: Omit<DataOptions, 'normalize'>;
  /** Also there without a rule, where the recipe fine-tunes. */
  tune?: Record<string, unknown>;
  prune_train?: Record<string, unknown>;
}

/** What decides a run, as its controls hold it. */
export interface Settings {
  criterion: string;
  reduction: Reduction | null;
  normalizer: Normalizer | null;
  scope: Scope;
  targetKind: TargetKind;
  /** Share that goes, of what `targetKind` says. */
  amount: number;
  sets: string[][];
  groupRatios: Record<string, number>;
  floor: number | null;
  minRatio: number | null;
  maxRatio: number | null;
  multiple: number | null;
  locks: string[];
  heads: boolean;
  planSteps: number;
  schedule: Schedule;
  seed: number;
  recover: Stage[];
  epochs: number;
  learningRate: number;
  /** Whether the uncut model's answers are learnt beside the labels. */
  loss: TuneLoss;
  batch: number;
  /** The method of pruning and training together, instead of a fine-tune after the cut. */
  together: Preset | null;
  /** Its variant for a few epochs, and numbers of a person's own. */
  short: boolean;
  epochsBefore: number | null;
  epochsAfter: number | null;
  batchTogether: number | null;
  carried: Carried;
}

export const DEFAULTS: Settings = {
  criterion: 'l1',
  reduction: null,
  normalizer: null,
  scope: 'group',
  targetKind: 'ratio',
  amount: 0.5,
  sets: [],
  groupRatios: {},
  floor: null,
  minRatio: null,
  maxRatio: null,
  multiple: null,
  locks: [],
  heads: false,
  planSteps: 1,
  schedule: 'linear',
  seed: 0,
  recover: [],
  epochs: 3,
  learningRate: 0.02,
  loss: 'auto',
  batch: 32,
  together: null,
  short: true,
  epochsBefore: null,
  epochsAfter: null,
  batchTogether: null,
  carried: {},
};

export const settings = signal<Settings>(DEFAULTS);
/** The settings came with a link, before any model was open: they are for the model that is opened first. */
export const linked = signal(false);
/** Times of layers on the device in use: without them there is no target in milliseconds. */
export const latencies = signal<LatencyTable | undefined>(undefined);
/** The criterion that has looked at images, and which, as `looking` has it; a plan by another one that has to cannot be made yet. */
export const scored = signal<string | undefined>(undefined);

export const estimate = signal<Estimate | undefined>(undefined);
/** Why the plan cannot be made as asked. */
export const planProblem = signal<string | undefined>(undefined);

export const cut = signal<{ options: PlanOptions; summary: CutSummary } | undefined>(undefined);

export const dataSource = signal<Source | undefined>(undefined);
export const data = signal<DataSummary | undefined>(undefined);
export const DEFAULT_NORMALIZE = 'imagenet';
export const normalize = signal(DEFAULT_NORMALIZE);
/** How images are read that are opened from now on. */
export const dataOptions = computed<DataOptions>(() => ({ normalize: normalize.value, seed: settings.value.seed, ...settings.value.carried.data }));
/** How a person's own images at hand were read: the seed may have changed since. */
export const dataRead = signal<DataOptions | undefined>(undefined);

export const evaluations = signal<Partial<Record<Which, Evaluation>>>({});

export const tune = signal<TuneState>('none');
export const tuneProgress = signal<TuneProgress | undefined>(undefined);
export const lossPoints = signal<LossPoint[]>([]);
export const checkpoint = signal<Uint8Array | undefined>(undefined);
/** What the last fine-tune learnt, and why. */
export const learnt = signal<Pick<TuneSummary, 'loss_kind' | 'teacher'> | undefined>(undefined);
/** The present result, or the run under way, is one of pruning and training together. */
export const isTogether = signal(false);
/** Stages of it that are done. */
export const history = signal<StageNote[]>([]);
export const held = signal<TogetherSummary['held']>([]);

/** A run that was broken off, found when the page was opened. */
export const kept = signal<KeptRun | undefined>(undefined);
/** The run to go on with as soon as its images are there. */
export const awaited = signal<KeptRun | undefined>(undefined);
/** The browser shows a message when training ends. */
export const notifies = signal(false);

/** The stage of recovery that runs. */
export const stage = signal<StageProgress | undefined>(undefined);
/** What stages of recovery brought in the last fine-tune. */
export const stages = signal<StageSummary[]>([]);
/** Accuracy on the validation images before them. */
export const beforeStages = signal<number | null>(null);

/** Fold-outs that are open, by the names that some of them have. */
export const panels = signal<ReadonlySet<string>>(new Set());

export const drawing = signal<Drawing | undefined>(undefined);
export const scores = signal<GroupScores[] | undefined>(undefined);
export const sensitivity = signal<Sensitivity | undefined>(undefined);
/** Rows of the last sweep, with the recipes behind them; the first row is the model as it is. */
export const sweep = signal<{ row: SweepRow; recipe: Recipe | undefined }[]>([]);
export const zeros = signal<Zeros | undefined>(undefined);

/** Images for criteria that look at some: enough for stable scores, and soon done. */
export const SCORE_IMAGES: ScoreImages = { batch: 64, limit: 512 };
export const scoreImages = computed<ScoreImages>(() => settings.value.carried.score ?? SCORE_IMAGES);

function target({ targetKind, amount }: Settings, table: LatencyTable | undefined): Target | undefined {
  const stays = round4(1 - amount);
  switch (targetKind) {
    case 'ratio':
      return { ratio: amount };
    case 'macs':
      return { macs: stays };
    case 'parameters':
      return { parameters: stays };
    case 'bytes':
      return { bytes: stays };
    case 'latency':
      return table && { latency: { milliseconds: round4(wholeTime(table) * stays), table } };
  }
}

/** Milliseconds of the whole model by a table. */
export function wholeTime(table: LatencyTable): number {
  return Object.values(table.layers).reduce((sum, points) => sum + (points.at(-1)?.[1] ?? 0), table.rest);
}

/** `undefined` where the target needs times that were not measured yet. */
export const planOptions = computed<PlanOptions | undefined>(() => {
  const own = settings.value;
  const wanted = target(own, latencies.value);
  return (
    wanted && {
      criterion: own.criterion,
      reduction: own.reduction,
      normalizer: own.normalizer,
      scope: own.scope,
      target: wanted,
      sets: own.sets,
      group_ratios: own.groupRatios,
      floor: own.floor,
      min_ratio: own.minRatio,
      max_ratio: own.maxRatio,
      multiple: own.multiple,
      locks: own.locks,
      heads: own.heads,
      steps: own.planSteps,
      schedule: own.schedule,
      seed: own.seed,
    }
  );
});

/** What is to be looked at, and by which criterion. */
export const looking = computed(() => JSON.stringify([settings.value.criterion, scoreImages.value]));

/** The criterion has to look at images before a plan can be made by it. */
export const unscored = computed(() => needsOf(settings.value.criterion) !== 'weights' && scored.value !== looking.value);

/** The cut on display is the one that the settings ask for. */
export const cutIsCurrent = computed(
  () => cut.value !== undefined && JSON.stringify(cut.value.options) === JSON.stringify(planOptions.value),
);

/** The numbers before and after: the cut's when it is current, else the estimate's. */
export const shown = computed<Estimate | undefined>(() => (cutIsCurrent.value ? cut.value?.summary : estimate.value));

/** The targets that methods of pruning and training together can meet. */
export const TOGETHER_TARGETS: readonly TargetKind[] = ['ratio', 'macs', 'parameters'];

/** The method as a recipe says it. */
export const together = computed<Together | undefined>(() => {
  const { together: preset, short, epochsBefore, epochsAfter, batchTogether, seed, carried } = settings.value;
  return (
    preset && {
      preset,
      short,
      ...(epochsBefore !== null && { epochs: epochsBefore }),
      ...(epochsAfter !== null && { tune_epochs: epochsAfter }),
      ...(batchTogether !== null && { batch: batchTogether }),
      seed,
      ...carried.prune_train,
    }
  ) ?? undefined;
});

/** A fine-tune as a recipe says it. */
export const tuneOptions = ({ epochs, learningRate, batch, seed, recover, loss, carried }: Settings): TuneOptions => ({
  epochs,
  learning_rate: learningRate,
  batch,
  seed,
  resume: false,
  recover,
  loss,
  ...carried.tune,
});

/** What of a recipe no control shows, as words for people. */
export const further = computed(() =>
  Object.entries(settings.value.carried).flatMap(([part, rules]: [string, object]) =>
    Object.entries(rules).map(([name, value]) => `${part}.${name} = ${typeof value === 'string' ? value : JSON.stringify(value)}`),
  ),
);

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
