/** Everything that the page and its worker say to each other. Both sides import this file and no other contract exists. */

import type { Resumed, Together, TogetherSummary, StageNote, TuneLoss } from './protocol-training.js';
import type {
  Agreement,
  AxisChannels,
  Boxes,
  Comparison,
  Coupling,
  Drawing,
  FilterPlane,
  LayerInfo,
  Layout,
  Pictures,
  Sensitivity,
  Silent,
  SweepRow,
  Told,
  Zeros,
} from './protocol-views.js';

export type * from './protocol-training.js';
export type * from './protocol-views.js';

/** What went wrong, as the core says it: a stable code and a sentence for a person. */
export interface Failure {
  code: string;
  message: string;
}

/** An input or output of a model. A symbolic dimension keeps its name. */
export interface Port {
  name: string;
  dtype: string;
  shape: (number | string)[];
}

/** A node that the engine cannot run, or that the dependency rules do not know. */
export interface Unsupported {
  node: string;
  op: string;
  why: string;
}

export interface ModelSummary {
  name: string;
  bytes: number;
  opset: number;
  nodes: number;
  parameters: number;
  macs: number;
  /** Bytes of all that nodes make of one sample. */
  activation_bytes: number;
  inputs: Port[];
  outputs: Port[];
  unsupported: Unsupported[];
}

/** Channels that stand in the same places, and so go together. */
export interface Group {
  name: string;
  channels: number;
  producers: string[];
  consumers: string[];
  companions: string[];
  /** Parameters and MACs that hang on the group's channels. */
  parameters: number;
  macs: number;
  prunable: boolean;
  /** Nodes whose statistic runs over the channels: the cut cannot be exact there. */
  renormalised: string[];
  /** Blocks of a grouped convolution; each loses as many channels. */
  blocks: number;
}

/** Why an axis stays whole. */
export interface Pin {
  value: string;
  axis: number;
  node: string;
  op: string;
  why: string;
  what_to_do: string;
}

export interface OpenedModel {
  summary: ModelSummary;
  groups: Group[];
  pinned: Pin[];
}

/** A criterion as the core writes it: `l1`, `lp(3)`, or a mixture such as `l1:0.7,fpgm_l2:0.3`. */
export type Criterion = string;
export type Scope = 'group' | 'global' | 'isomorphic';
export type Schedule = 'linear' | 'agp' | 'exponential';
export type Reduction = 'sum' | 'mean' | 'max' | 'prod' | 'first';
export type Normalizer = 'none' | 'sum' | 'mean' | 'max' | 'std' | 'gaussian' | 'lamp' | 'l2';

/** Times of layers at several widths: by node, MACs and milliseconds. */
export interface LatencyTable {
  device: string;
  layers: Record<string, [macs: number, milliseconds: number][]>;
  /** Milliseconds that no layer accounts for. */
  rest: number;
}

/** `ratio`: share of the channels that go. `macs`, `parameters`, `bytes`: share of the original's that stays. */
export type Target =
  | { ratio: number }
  | { macs: number }
  | { parameters: number }
  | { bytes: number }
  | { latency: { milliseconds: number; table: LatencyTable } };

export interface PlanOptions {
  criterion: Criterion;
  /** `null`: as the criterion has it. */
  reduction: Reduction | null;
  normalizer: Normalizer | null;
  scope: Scope;
  target: Target;
  /** Patterns of groups that compete with each other and no others. */
  sets: string[][];
  /** Ratios of single groups by pattern, whatever the target says of the others. */
  group_ratios: Record<string, number>;
  floor: number | null;
  min_ratio: number | null;
  max_ratio: number | null;
  multiple: number | null;
  locks: string[];
  heads: boolean;
  steps: number;
  schedule: Schedule;
  seed: number;
}

/** Which images a criterion looks at. */
export interface ScoreImages {
  batch: number;
  limit: number | null;
}

/** Every setting of a run. Other fields of a recipe are notes, and the page leaves them as they are. */
export interface Recipe {
  version: 1;
  cut?: PlanOptions;
  score?: ScoreImages;
  data?: DataOptions;
  tune?: TuneOptions;
  prune_train?: Together;
  /** These two the page only knows of. */
  mask?: unknown[];
  sparse?: boolean;
}

/** One number a channel, as channels are compared; small ones go first. */
export interface GroupScores {
  name: string;
  scores: number[];
}

export interface Change {
  before: number;
  after: number;
}

export interface Estimate {
  parameters: Change;
  macs: Change;
  bytes: Change;
  groups: { name: string; channels: number; kept: number }[];
}

/** What was cut, with the proof: the masked original and the cut model on the same random input. */
export interface CutSummary extends Estimate {
  exact: boolean;
  renormalised: string[];
  /** Largest difference divided by the largest output; `null` where the proof could not be run. */
  max_error: number | null;
  /** What `max_error` may be at most. */
  tolerance: number;
  device: string;
  /** Why the proof could not be run, if so: there is no download then, unless it can be run elsewhere. */
  not_proved: string | null;
  /** The proof needs only more memory than there is here. */
  elsewhere: boolean;
  /** How near the plan came to its target. */
  achieved: { target: string; asked: number; got: number } | null;
}

export type DeviceChoice = 'auto' | 'cpu' | 'gpu';

export interface DeviceInfo {
  kind: 'cpu' | 'gpu';
  name: string;
  why: string;
}

/** A preset's name, or `mean/deviation` with one number a channel: `0.485,0.456,0.406/0.229,0.224,0.225`. */
export type Normalize = string;

export interface DataOptions {
  normalize: Normalize;
  /** Of the split. */
  seed?: number;
  /** Shares of the images. */
  validation?: number;
  test?: number;
}

export interface Thumbnail {
  /** Its place among the images. */
  image: number;
  label: string;
  width: number;
  height: number;
  /** Base64 of `width * height * 4` bytes. */
  rgba: string;
}

export interface DataSummary {
  name: string;
  images: number;
  classes: string[];
  /** Whether every image has a class. */
  labelled: boolean;
  /** Whether images ask for numbers, or for a class of each place, instead. */
  targets: boolean;
  split: { train: number; validation: number; test: number };
  normalize: Normalize;
  thumbnails: Thumbnail[];
}

/** The three models of a run. */
export type Which = 'original' | 'cut' | 'tuned';

export interface Evaluation {
  /** Share of right answers, of images or of places that have a class; none where numbers are learnt. */
  top1: number | null;
  /** Of places: what is both of a class and named so by what is either, averaged over the classes. */
  mean_iou?: number;
  /** Mean absolute difference from the numbers that are learnt. */
  absolute?: number;
  /** Mean cross-entropy; of numbers the mean squared difference. */
  loss: number;
  images: number;
  milliseconds_per_image: number;
  device: string;
}

/** A stage of recovery without gradients. */
export type Stage = 'bias' | 'lstsq' | 'batchnorm';

export interface TuneOptions {
  /** 0: only what `recover` says. */
  epochs: number;
  learning_rate: number;
  batch: number;
  seed: number;
  /** Go on from the restored checkpoint instead of from the cut model. */
  resume: boolean;
  /** What is done before the first step. */
  recover: Stage[];
  /** What is learnt: the labels, or the uncut model's answers beside them; `auto`: the answers where that model has learnt what the labels say. */
  loss: TuneLoss;
}

/** Accuracy on the validation images after a stage, if there are any. */
export interface StageSummary {
  stage: Stage;
  seconds: number;
  validation_top1: number | null;
}

export interface TuneSummary {
  steps: number;
  seconds: number;
  /** `null` where no step was made. */
  loss: number | null;
  /** False when the person stopped it early; the weights up to there are kept. */
  finished: boolean;
  validation_top1: number | null;
  /** Accuracy on the validation images before the first stage and step. */
  before_top1: number | null;
  stages: StageSummary[];
  /** What was learnt, if there were steps. */
  loss_kind: 'cross-entropy' | 'segmentation' | 'regression' | 'l1' | 'distill' | 'mse' | null;
  /** What decided that: the uncut model's cross-entropy on the validation images, and that of guessing. */
  teacher: { loss: number; guessing: number } | null;
  /** Values inside that were compared with the uncut model's, where these count. */
  features?: number;
  /** What chose the epoch of a segmentation. */
  validation_mean_iou?: number;
}

export interface Exported {
  model: Blob;
  /** The file of tensors beside a large model, which has the name that was asked for. */
  beside: Blob | null;
  report: string;
  recipe: string;
}

/** The project's own model and images, opened together. */
export interface Sample {
  model: OpenedModel;
  data: DataSummary;
}

/** A file's bytes and its path. */
export interface Named {
  path: string;
  bytes: Uint8Array;
}

/** A file that stays where it is, and its path. */
export interface Kept {
  path: string;
  file: Blob;
}

/** One line a call: what is asked and what comes back. */
export interface Calls {
  /** Files beside the model may hold tensors of it; they are read part by part. */
  open: { ask: { model: Named; beside: Kept[] }; answer: OpenedModel };
  sample: { ask: { bytes: Uint8Array }; answer: Sample };
  plan: { ask: PlanOptions; answer: Estimate };
  cut: { ask: PlanOptions; answer: CutSummary };
  scores: { ask: PlanOptions; answer: GroupScores[] };
  /** Looks at images for a criterion; the answer says which weights have no score, and why. */
  score: { ask: { criterion: Criterion; images: ScoreImages }; answer: string[] };
  latencies: { ask: { locks: string[] }; answer: LatencyTable };
  sensitivity: { ask: { plan: PlanOptions; ratios: number[]; limit: number | null }; answer: Sensitivity };
  /** Ratios of groups by which this share of the MACs stays, from the last measurement of sensitivity. */
  balanced: { ask: { plan: PlanOptions; macs: number }; answer: PlanOptions };
  /** Afterwards nothing is cut. */
  sweep: { ask: { recipes: [name: string, recipe: Recipe][]; limit: number | null }; answer: SweepRow[] };
  zeros: { ask: { share: number }; answer: Zeros };
  drawing: { ask: null; answer: Drawing };
  layout: { ask: Boxes; answer: Layout };
  layers: { ask: null; answer: LayerInfo[] };
  filterPictures: { ask: { layer: number; plan: PlanOptions }; answer: Pictures };
  /** One filter, channel by channel. */
  filterChannels: { ask: { layer: number; filter: number }; answer: Pictures };
  filterPlane: { ask: { layer: number; plan: PlanOptions }; answer: FilterPlane };
  featureMaps: { ask: { layer: number; image: number; plan: PlanOptions }; answer: Pictures };
  silent: { ask: { limit: number }; answer: Silent };
  /** The original and another model; each is asked once as long as it does not change. */
  compare: { ask: { which: Which; limit: number | null; shown: number }; answer: Comparison };
  agreement: { ask: { criteria: Criterion[]; images: ScoreImages }; answer: Agreement };
  /** Shapes of the drawing's values after the cut of a plan. */
  widths: { ask: PlanOptions; answer: (string[] | null)[] };
  valueChannels: { ask: { value: string; plan: PlanOptions }; answer: AxisChannels[] };
  why: { ask: { name: string }; answer: Told[] };
  together: { ask: { a: string; b: string }; answer: Coupling };
  readRecipe: { ask: { text: string }; answer: Recipe };
  compactRecipe: { ask: Recipe; answer: string };
  device: { ask: { choice: DeviceChoice }; answer: DeviceInfo };
  data: { ask: { name: string; files: Named[]; options: DataOptions }; answer: DataSummary };
  evaluate: { ask: { which: Which; limit: number | null }; answer: Evaluation };
  tune: { ask: TuneOptions; answer: TuneSummary };
  export: { ask: { which: Which; beside: string }; answer: Exported };
  pruneTrain: { ask: { method: Together; cut: PlanOptions }; answer: TogetherSummary };
  /** Goes on from the restored checkpoint. */
  resumePruneTrain: { ask: null; answer: TogetherSummary };
  restore: { ask: { bytes: Uint8Array }; answer: Resumed };
}

export type CallName = keyof Calls;
export type Ask<K extends CallName> = Calls[K]['ask'];
export type Answer<K extends CallName> = Calls[K]['answer'];

/** Progress of the call that is running. */
export type Progress =
  | { task: 'evaluate'; done: number; total: number }
  | { task: 'data'; done: number; total: number }
  | { task: 'score'; done: number; total: number }
  | StageProgress
  | { task: 'sweep'; done: number; total: number; row: SweepRow }
  | { task: 'cut'; done: number; total: number }
  | { task: 'device'; done: number; total: number }
  | ({ task: 'stage' } & StageNote)
  | TuneProgress;

export interface StageProgress {
  task: 'recover';
  stage: Stage;
  /** Layers or batches. */
  done: number;
  total: number;
}

export interface TuneProgress {
  task: 'tune';
  step: number;
  steps: number;
  epoch: number;
  epochs: number;
  loss: number;
  learning_rate: number;
  seconds: number;
  /** Seconds left, once there is enough to tell. */
  eta: number | null;
  /** Accuracy on the validation images, at the end of an epoch. */
  validation_top1: number | null;
  /** What is done of pruning and training together, in which steps and epochs are the stretch's own. */
  stretch?: { what: string; macs: number; taken: number };
}

export type ControlName = 'pause' | 'resume' | 'cancel';

/** Which of the two modules: with the compiler of GPU kernels, or without it. */
export type Kit = 'gpu' | 'cpu';

export type ToWorker =
  | { kind: 'start'; kit: Kit; module: WebAssembly.Module }
  | { kind: 'control'; control: ControlName }
  | { [K in CallName]: { kind: 'call'; id: number; call: K; ask: Ask<K> } }[CallName];

export type FromWorker =
  | { kind: 'ready'; version: string }
  /** The worker holds the lock that carries its name; the page notices its end when the lock comes free. */
  | { kind: 'locked' }
  | { kind: 'answer'; id: number; value: unknown }
  | { kind: 'failure'; id: number; failure: Failure }
  | { kind: 'progress'; id: number; progress: Progress }
  | { kind: 'checkpoint'; bytes: Uint8Array }
  /** The wasm instance trapped: nothing in it can be called again. */
  | { kind: 'died'; message: string };
