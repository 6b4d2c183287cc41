/** A name and a sentence for each criterion. */

import type { CriterionName } from '../../criteria.js';

export const criteria: Record<CriterionName, readonly [name: string, sentence: string]> = {
  l1: ['L1 norm', 'Sum of absolute weights. Small filters do little (Li 2017).'],
  l2: ['L2 norm', 'Root of summed squares: one large weight counts more than many small ones (He 2018).'],
  lp: ['Lp norm', 'The norm with an exponent of your choice.'],
  linf: ['Largest weight', 'A filter is as important as its largest weight.'],
  bn_scale: ['Batch-norm scale', 'How strongly the normalisation behind a layer lets a channel through (Network Slimming, 2017).'],
  fpgm_l2: ['Geometric median', 'Filters near the middle of all others can be replaced by them (FPGM, 2019).'],
  fpgm_l1: ['Geometric median, L1 distance', 'The same, with sums of absolute differences.'],
  fpgm_cosine: ['Geometric median, cosine distance', 'The same, by direction alone.'],
  fpgm_mixed: ['Norm, then geometric median', 'A share goes by norm, the rest by distance among what is left (FPGM, 2019).'],
  lamp: ['LAMP', 'Share of a filter among all that are larger: comparable between layers (Lee 2021).'],
  group_norm: ['Group norm', 'Everything that hangs on a channel, its readers too (DepGraph, 2023).'],
  random: ['Random', 'By lot. What any good measure must beat.'],
  activation_mean_abs: ['Mean activation', 'Channels that are quiet on your images go.'],
  apoz: ['Share of zeros', 'Channels that the ReLU behind them mostly silences go (Network Trimming, 2016).'],
  wanda_structured: ['Weight times input', 'Weights count as much as what they are fed (Wanda, 2024, added up).'],
  hrank: ['Rank of feature maps', 'Maps of low rank hold little (HRank, 2020).'],
  weight_taylor_abs: ['Taylor, absolute weights', 'What the loss would change without each weight, added up.'],
  weight_taylor_signed: ['Taylor, whole filter', 'What the loss would change without the filter, to first order (Molchanov 2019).'],
  weight_taylor_sq: ['Taylor, squared weights', 'The same, squared weight by weight (Molchanov 2019).'],
  activation_taylor: ['Taylor at the output', 'What the loss would change without the channel\u2019s output (Molchanov 2017).'],
  activation_taylor_mean: ['Taylor at the output, mean first', 'The same, averaged over images before its size counts.'],
  gate_taylor_sq: ['Gate Taylor', 'The squared slope of a gate behind the channel (Molchanov 2019).'],
  gate_taylor_sq_per_image: ['Gate Taylor, image by image', 'The same for single images: the Fisher score (Theis 2018).'],
  gbn_abs: ['Gate Decorator', 'The absolute slope of a gate, over all batches (You 2019).'],
  fisher_obd: ['Optimal Brain Damage', 'Second order: squared weights times squared slopes (LeCun 1989).'],
};
