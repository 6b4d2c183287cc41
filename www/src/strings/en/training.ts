/** Words of long training: methods that prune and train together, runs that are kept, titles and messages. */

import type { Preset } from '../../protocol.js';

/** Name, paper, and what it does. */
const presets: Record<Preset, readonly [name: string, paper: string, more: string]> = {
  'gate-decorator': [
    'Gate decorator (tick-tock)',
    'You et al., Gate Decorator, NeurIPS 2019',
    'Every channel gets a gate. Ticks score the gates and take a few channels out, tocks train everything in between.',
  ],
  'group-lasso': [
    'Group lasso (DepGraph)',
    'Fang et al., DepGraph, CVPR 2023',
    'While the network trains, weak groups of channels decay faster than strong ones. Then the weakest go.',
  ],
  slimming: [
    'Network slimming',
    'Liu et al., Network Slimming, ICCV 2017',
    'The scales of BatchNormalization are drawn towards zero. Channels with the smallest scales go.',
  ],
  'group-slimming': [
    'Network slimming by groups',
    'Liu et al., ICCV 2017, with the groups of Fang et al., CVPR 2023',
    'As network slimming, but the scales of channels that go together are drawn together.',
  ],
  growing: [
    'Growing regularisation',
    'Wang et al., Neural Pruning via Growing Regularization, ICLR 2021',
    'The channels to go are chosen at the start and decay ever faster, until nothing is lost when they go.',
  ],
  'growing-group': [
    'Growing regularisation by groups',
    'Wang et al., ICLR 2021, with the groups of Fang et al., CVPR 2023',
    'Every channel decays, the weakest ever faster.',
  ],
  soft: [
    'Soft filter pruning',
    'He et al., Soft Filter Pruning, IJCAI 2018',
    'The weakest filters are set to zero again and again. They may come back, until the end.',
  ],
  'soft-hard': [
    'Soft filter pruning, masked',
    'He et al., FPGM, CVPR 2019',
    'As soft filter pruning, but what is zero stays zero.',
  ],
  iterative: [
    'Cut and train in turn',
    'Han et al., Learning both Weights and Connections, NeurIPS 2015',
    'A part of the way is cut, then trained, again and again.',
  ],
};

/** What the engine calls its stages. */
function what(name: string): string {
  const [word = name, number = ''] = name.split(' ');
  if (word === 'penalty') return 'Training with the penalty';
  if (word === 'cut') return 'Right after the cut';
  if (word === 'fine-tune') return 'After the cut';
  if (number === 'ticks') return `After ${word} ticks`;
  return `${word.charAt(0).toUpperCase()}${word.slice(1)} ${number}`;
}

export const training = {
  together: {
    way: 'How to train',
    after: 'After the cut',
    title: 'Prune and train together',
    lead: 'The method decides which channels go while the network learns to do without them. It begins with the original and meets the target of the cut step. Numbers that are left empty are the method\u2019s own.',
    method: 'Method',
    presets,
    short: ['Short', 'A few epochs instead of the paper\u2019s hundreds, with stronger penalties'] as readonly [string, string],
    before: 'Epochs before the cut',
    afterCut: 'Epochs after the cut',
    target: 'This needs a target in channels, MACs or parameters: choose one in the cut step.',
    start: 'Prune and train',
    broken: 'Stopped before the cut. The last checkpoint is kept.',
    stages: 'What each stage left',
    stage: 'Stage',
    steps: 'Steps',
    what,
    whole: (group: string, why: string) => `${group} stays whole: ${why}`,
    macs: 'MACs left',
    now: 'Now',
  },
  teacher: {
    title: 'Learn from',
    choices: {
      auto: 'What fits',
      distill: 'Labels and uncut model',
      'cross-entropy': 'Labels only',
    },
    unlabelled: 'Without labels the cut model learns to answer as the uncut one does.',
    more: 'The uncut model\u2019s answers count beside the labels, if a look at it shows that it has learnt what the labels say.',
    learnt: (loss: string, guessing: string) =>
      `Learnt from the uncut model and the labels: its cross-entropy is ${loss}, where guessing gets ${guessing}.`,
    not: (loss: string, guessing: string) =>
      `Learnt from the labels only: the uncut model\u2019s cross-entropy is ${loss}, hardly better than the ${guessing} of guessing.`,
  },
  kept: {
    title: 'Continue where you left',
    run: (model: string, share: string, when: string) => `Training of ${model} was broken off at ${share}, ${when}.`,
    done: (model: string, when: string) => `${model} finished training, ${when}.`,
    goOn: 'Continue',
    open: 'Open the result',
    forget: 'Forget it',
    more: 'It is kept in this browser only.',
    needs: (name: string) => `You will be asked for ${name} again: images are not kept.`,
    images: (name: string) => `The model is back. Add ${name} again, and training goes on by itself.`,
    gone: 'What was kept of the run can no longer be read. Begin anew.',
  },
  tell: {
    title: (share: string, stretch: string | undefined, paused: boolean) =>
      `${paused ? 'Paused, ' : ''}${share}${stretch ? ` of ${stretch}` : ''} \u2013 Lopper`,
    ask: 'Tell me when it is done',
    done: (model: string) => `${model} has finished training`,
    accuracy: (share: string) => `${share} right on the validation images`,
  },
};
