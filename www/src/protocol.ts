/** Everything that the page and its worker say to each other. Both sides import this file and no other contract exists. */

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

export type Criterion = 'l1' | 'l2';
export type Scope = 'group' | 'global';

/** `ratio`: share of the channels that go. `macs`: share of the original's MACs that stays. */
export type Target = { ratio: number } | { macs: number };

export interface PlanOptions {
  criterion: Criterion;
  scope: Scope;
  target: Target;
  floor: number | null;
  multiple: number | null;
  locks: string[];
  seed: number;
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
  /** Why the proof could not be run, if so: there is no download then. */
  not_proved: string | null;
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
  seed: number;
}

export interface Thumbnail {
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
  labelled: boolean;
  split: { train: number; validation: number; test: number };
  normalize: Normalize;
  thumbnails: Thumbnail[];
}

/** The three models of a run. */
export type Which = 'original' | 'cut' | 'tuned';

export interface Evaluation {
  top1: number;
  loss: number;
  images: number;
  milliseconds_per_image: number;
  device: string;
}

export interface TuneOptions {
  epochs: number;
  learning_rate: number;
  batch: number;
  seed: number;
  /** Go on from the restored checkpoint instead of from the cut model. */
  resume: boolean;
}

export interface TuneSummary {
  steps: number;
  seconds: number;
  loss: number;
  /** False when the person stopped it early; the weights up to there are kept. */
  finished: boolean;
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
  device: { ask: { choice: DeviceChoice }; answer: DeviceInfo };
  data: { ask: { name: string; files: Named[]; options: DataOptions }; answer: DataSummary };
  evaluate: { ask: { which: Which; limit: number | null }; answer: Evaluation };
  tune: { ask: TuneOptions; answer: TuneSummary };
  export: { ask: { which: Which; beside: string }; answer: Exported };
  restore: { ask: { bytes: Uint8Array }; answer: null };
}

export type CallName = keyof Calls;
export type Ask<K extends CallName> = Calls[K]['ask'];
export type Answer<K extends CallName> = Calls[K]['answer'];

/** Progress of the call that is running. */
export type Progress =
  | { task: 'evaluate'; done: number; total: number }
  | { task: 'data'; done: number; total: number }
  | { task: 'cut'; done: number; total: number }
  | { task: 'device'; done: number; total: number }
  | TuneProgress;

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
