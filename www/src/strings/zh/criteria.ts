/** A name and a sentence for each criterion, in Chinese. */

import type { CriterionName } from '../../criteria.js';

export const criteria: Record<CriterionName, readonly [name: string, sentence: string]> = {
  l1: ['L1 范数', '权重绝对值之和。范数小的卷积核作用小（Li 2017）。'],
  l2: ['L2 范数', '平方和的平方根：一个大权重比许多小权重更重要（He 2018）。'],
  lp: ['Lp 范数', '指数由你选择的范数。'],
  linf: ['最大权重', '卷积核的重要性取决于其中最大的权重。'],
  bn_scale: ['BN 缩放因子', '层后的批归一化让某个通道通过多少（Network Slimming，2017）。'],
  fpgm_l2: ['几何中位数', '靠近所有卷积核中心的那些，可以由其余卷积核代替（FPGM，2019）。'],
  fpgm_l1: ['几何中位数（L1 距离）', '同上，距离取各元素之差的绝对值之和。'],
  fpgm_cosine: ['几何中位数（余弦距离）', '同上，只看方向。'],
  fpgm_mixed: ['先范数，后几何中位数', '一部分按范数剪去，其余在剩下的卷积核中按距离剪去（FPGM，2019）。'],
  lamp: ['LAMP', '卷积核在所有不小于它的卷积核中所占的份额，可跨层比较（Lee 2021）。'],
  group_norm: ['组范数', '与一个通道相连的全部权重都计入，包括读取它的层（DepGraph，2023）。'],
  random: ['随机', '抽签决定。任何好的度量都应胜过它。'],
  activation_mean_abs: ['平均激活', '在你的图像上安静的通道被剪去。'],
  apoz: ['零激活占比', '其后的 ReLU 大多输出零的通道被剪去（Network Trimming，2016）。'],
  wanda_structured: ['权重乘输入', '权重按它收到的输入来计重（Wanda，2024，按通道累加）。'],
  hrank: ['特征图的秩', '秩低的特征图含有的信息少（HRank，2020）。'],
  weight_taylor_abs: ['Taylor（权重绝对值）', '逐个去掉权重时损失的变化，取绝对值后累加。'],
  weight_taylor_signed: ['Taylor（整个卷积核）', '去掉整个卷积核时损失的一阶变化（Molchanov 2019）。'],
  weight_taylor_sq: ['Taylor（权重平方）', '同上，逐个权重平方（Molchanov 2019）。'],
  activation_taylor: ['Taylor（输出）', '去掉该通道的输出时损失的变化（Molchanov 2017）。'],
  activation_taylor_mean: ['Taylor（输出，先取平均）', '同上，先对图像取平均，再取大小。'],
  gate_taylor_sq: ['门控 Taylor', '通道之后的门的梯度平方（Molchanov 2019）。'],
  gate_taylor_sq_per_image: ['门控 Taylor（逐图像）', '对每幅图像分别计算的同一个量，即 Fisher 分数（Theis 2018）。'],
  gbn_abs: ['Gate Decorator', '门的梯度绝对值，对所有批次累计（You 2019）。'],
  fisher_obd: ['最优脑损伤', '二阶度量：权重平方乘以梯度平方（LeCun 1989）。'],
};
