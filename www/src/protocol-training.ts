/** The part of the protocol that speaks of long training. */

import type { CutSummary } from './protocol.js';

export type TuneLoss = 'auto' | 'cross-entropy' | 'distill';

export type Preset =
  | 'slimming'
  | 'group-slimming'
  | 'group-lasso'
  | 'growing'
  | 'growing-group'
  | 'soft'
  | 'soft-hard'
  | 'gate-decorator'
  | 'iterative';

/** A method of pruning and training together; numbers that are left out are its paper's, or those of its short variant. */
export interface Together {
  preset: Preset;
  short: boolean;
  /** Passes over the images before and after the cut. */
  epochs?: number;
  tune_epochs?: number;
  batch?: number;
  seed: number;
}

/** A stage of it that is done. */
export interface StageNote {
  what: string;
  steps: number;
  seconds: number;
  macs: number;
  validation_top1: number | null;
}

export interface TogetherSummary {
  /** Against the model just before the cut. */
  cut: CutSummary;
  stages: StageNote[];
  /** Groups that stay whole because the method has nothing to say of them, and why. */
  held: [group: string, why: string][];
  /** False when the person stopped it after the cut. */
  finished: boolean;
}

/** What a checkpoint holds that the engine took. */
export interface Resumed {
  /** The cut of pruning and training together, once it was made. */
  cut: CutSummary | null;
  steps: [done: number, all: number];
  /** The engine has a trained model from it. */
  tuned: boolean;
  finished: boolean;
}
