/** The guided tour: six chapters, each with three things to try. */

import type { ChapterId } from '../../tour/chapters.js';

export interface Chapter {
  title: string;
  words: string;
  /** What is to be tried, one sentence for each of the chapter's tasks. */
  tasks: readonly [string, string, string];
  /** What to look for in the page's own picture. */
  look: string;
  /** Where it is from. */
  from: string;
}

const chapters: Record<ChapterId, Chapter> = {
  magnitude: {
    title: 'Magnitude',
    words:
      'A filter whose weights are all small adds little to what comes out of its layer. So the simplest measure adds up the sizes of its weights, and the smallest sums go first.',
    tasks: [
      'Choose \u201cL1 norm\u201d as the measure.',
      'Open \u201cSee the scores\u201d.',
      'Drag the slider, and watch the line run through the bars.',
    ],
    look: 'Each bar counts the channels of one score; those left of the line go. A gap makes the choice easy. Where all stand on one heap, the line parts channels that are nearly alike.',
    from: 'Li and others, Pruning Filters for Efficient ConvNets, 2017',
  },
  median: {
    title: 'Geometric median',
    words:
      'Two filters that do nearly the same need not both stay, however large they are. The geometric median is the point with the smallest sum of distances to all filters of a layer: what lies near it, the others can stand in for.',
    tasks: [
      'Choose \u201cGeometric median\u201d as the measure.',
      'Press the button that cuts. The proof follows by itself.',
      'Evaluate before and after the cut.',
    ],
    look: 'The bars of the scores now show distances, not sizes. The accuracy right after the cut is what this choice alone keeps: nothing was trained yet.',
    from: 'He and others, Filter Pruning via Geometric Median, 2019',
  },
  gates: {
    title: 'Batch-norm scale and gates',
    words:
      'Batch normalisation multiplies every channel by a number that it has learnt. Near zero, hardly anything passes: the network has closed a gate by itself. A gate can also be thought of behind any channel, to ask how much the loss would move with it.',
    tasks: [
      'Choose \u201cBatch-norm scale\u201d as the measure.',
      'Compare channels in the whole network.',
      'Choose \u201cGate Taylor\u201d; it looks at the images first.',
    ],
    look: 'In the groups above, the hatched ends are no longer equally long. One line is drawn through the whole network, so some groups give much and others nothing.',
    from: 'Liu and others, Network Slimming, 2017; Molchanov and others, Importance Estimation for Neural Network Pruning, 2019',
  },
  together: {
    title: 'What belongs together',
    words:
      'No channel goes alone. Whoever reads it loses an input, and where two layers are added, both must lose the same place. Lopper follows every channel through the graph: what must go together is a group.',
    tasks: [
      'Open \u201cSee the graph\u201d.',
      'Choose a box: click it, or find it by the search.',
      'Open \u201cWhy do they belong together?\u201d and press \u201cShow why\u201d.',
    ],
    look: 'Solid frames make the channels, dashed frames read them, dotted ones go along. An Add ties its two inputs: that is why a residual network has few groups with many members.',
    from: 'Fang and others, DepGraph: Towards Any Structural Pruning, 2023',
  },
  masks: {
    title: 'Masks against cuts',
    words:
      'Much of the literature sets weights to zero and counts the zeros. But a processor multiplies a zero like any other number. Only a cut makes the arrays smaller, and with them the file, the memory and the time.',
    tasks: [
      'Cut: press the button, if the last cut is not of these settings.',
      'Open \u201cWhy not just set weights to zero?\u201d.',
      'Time the zeros beside the cut.',
    ],
    look: 'The bar with half of the weights at zero is about as long as the original\u2019s. The cut\u2019s bar is shorter, with the same arithmetic on fewer numbers.',
    from: 'Wen and others, Learning Structured Sparsity in Deep Neural Networks, 2016',
  },
  recovery: {
    title: 'Recovery',
    words:
      'A cut hurts at first, and much of it heals without training: each layer is fitted anew, by least squares, to give what it gave in the original. What is left, a short fine-tuning wins back.',
    tasks: [
      'In Fine-tune, tick \u201cRe-fit layers\u201d.',
      'Press \u201cFine-tune\u201d and wait until it is through.',
      'See the accuracy after fine-tuning; evaluate, if it is not there.',
    ],
    look: 'The table says what the re-fit brought before the first step of training. In the curve, the strong line is the smoothed loss, and the dotted one the accuracy on images that are not trained on.',
    from: 'He and others, Channel Pruning for Accelerating Very Deep Neural Networks, 2017',
  },
};

export const tour = {
  start: 'Take the tour',
  goOn: 'Go on with the tour',
  lead: 'The tour: six short chapters on the sample, each with something to try.',
  needsSample: 'The tour works on the sample. Opening it closes the model that is open now.',
  openSample: 'Open the sample',
  waiting: 'The sample is being opened\u2026',
  chapter: (number: number, all: number) => `Chapter ${number} of ${all}`,
  chapters,
  chapterList: 'Chapters',
  try: 'Try it',
  look: 'Look for',
  from: (paper: string) => `From: ${paper}.`,
  show: 'Show me',
  showTask: (task: string) => `Show me: ${task}`,
  done: 'done',
  chapterDone: 'Done. Go on when you like.',
  finished: 'That was the tour. Now drop a model of your own.',
  back: 'Back',
  next: 'Next',
  leave: 'Leave the tour',
  again: 'Start over',
  fold: 'Make it small',
  unfold: 'Show the chapter',
};
