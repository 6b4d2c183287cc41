/** What the worker says for the views: why channels stay, the drawing, pictures, curves and comparisons. */

import type { Criterion, Thumbnail, Which } from './protocol.js';

/** A value's axis. */
export interface Place {
  value: string;
  axis: number;
}

/** Two places that a node makes one. */
export interface Link {
  node: string;
  op: string;
  from: Place;
  to: Place;
}

/** What is known of one place: who pins its channels, and by which chain of unions. */
export interface Told {
  place: Place;
  length: number;
  groups: string[];
  pinned: number;
  reasons: { at: Place; node: string; op: string; why: string; what_to_do: string; chain: Link[] }[];
}

/** How two places hang together. */
export interface Coupling {
  a: Place;
  b: Place;
  channels: number;
  pinned: boolean;
  chain: Link[];
}

export type Role = 'producer' | 'consumer' | 'companion';

/** The model as it is drawn: inputs, nodes in the order of their work, outputs. Groups are places in `OpenedModel.groups`. */
export interface Drawing {
  nodes: { name: string; op: string; parameter: string | null; members: [group: number, role: Role][] }[];
  values: { name: string; shape: string[] | null; groups: number[] }[];
  edges: [from: number, to: number, value: number][];
}

/** Boxes and arrows to be placed: sizes, and pairs of boxes. */
export interface Boxes {
  sizes: [width: number, height: number][];
  arrows: [from: number, to: number][];
}

/** Middles of boxes, and the corners of arrows. */
export interface Layout {
  width: number;
  height: number;
  boxes: [x: number, y: number][];
  arrows: [x: number, y: number][][];
}

/**
 * How single groups bear cuts. `outputs` is the root mean square of what the output moves on the images, as a share of its own; `random`
 * the largest difference on random input, as a share of the largest number.
 */
export interface Sensitivity {
  measure: 'accuracy' | 'outputs' | 'random';
  baseline: number;
  groups: { name: string; channels: number; points: { ratio: number; kept: number; value: number }[] }[];
}

/** What a recipe of a sweep brings. */
export interface SweepRow {
  name: string;
  top1: number;
  macs: number;
  bytes: number;
  milliseconds: number;
  /** No other row is at least as good in everything and better in something. */
  pareto: boolean;
  failed?: string;
}

/** Milliseconds of one sample: whole, with a share of the weights set to zero, and cut. */
export interface Zeros {
  entries: number;
  masked: number;
  original: number;
  zeros: number;
  cut: number | null;
  device: string;
}

/** A convolution or linear layer. */
export interface LayerInfo {
  node: string;
  op: string;
  weight: string;
  shape: number[];
  filters: number;
  /** What is negative becomes zero behind it: its channels can be silent. */
  rectified: boolean;
}

/** `planes` is 1, or 3 for red, green and blue. Of a picture with signs 128 is zero; of others 0 is its smallest number. */
export interface Bitmap {
  width: number;
  height: number;
  planes: number;
  /** Base64. */
  bytes: string;
}

/** Filters or channels of a layer as pictures. */
export interface Pictures {
  channels: {
    channel: number;
    goes: boolean;
    score: number | null;
    range: [least: number, most: number];
    picture: Bitmap;
  }[];
  /** Why there are no scores, if so. */
  unscored: string | null;
}

/** Channels that were zero everywhere, by layer; `null` where channels cannot be told apart. */
export interface Silent {
  images: number;
  layers: (number[] | null)[];
}

/** A layer's filters in the two dimensions in which they differ most. */
export interface FilterPlane {
  points: [x: number, y: number][];
  /** The point whose distances to all filters have the least sum. */
  median: [x: number, y: number];
  /** Share of all squared distances that the plane shows. */
  share: number;
  /** Sums of distances to the other filters. */
  sums: number[];
  /** The filters of the smallest sums, as many as go. */
  nearest: number[];
  goes: number[];
}

export interface Said {
  class: string;
  confidence: number;
  /** `null` where the image has no class. */
  right: boolean | null;
}

/** How many images of each class (row) got which answer (column). */
export interface Confusion {
  classes: string[];
  /** The last class stands for all others. */
  others: boolean;
  before: number[][];
  after: number[][];
  difference: number[][];
}

/** Two models on the same images; those whose answer changed come first. */
export interface Comparison {
  which: Which;
  images: number;
  changed: number;
  lost_and_won: [lost: number, won: number] | null;
  seen: { picture: Thumbnail; before: Said; after: Said; changed: boolean }[];
  confusion: Confusion | null;
}

/** Spearman's correlations, a row and a column a criterion; `null` where two cannot be compared. */
export type Matrix = (number | null)[][];

export interface Agreement {
  criteria: Criterion[];
  layers: { weight: string; filters: number; matrix: Matrix }[];
  /** The mean over the layers, each with the weight of its number of filters. */
  overall: Matrix;
  left_out: string[];
}

/** Whose channels stand on an axis of a value, and which go. */
export interface AxisChannels {
  axes: number[];
  runs: {
    /** By place in `OpenedModel.groups`; `null` for channels that stay whole. */
    group: number | null;
    producers: string[];
    first: number;
    /** Positions of the axis that one channel takes. */
    each: number;
    goes: boolean[];
  }[];
  more: boolean;
}
