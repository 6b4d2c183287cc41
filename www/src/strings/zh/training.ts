/** 长时间训练的用语：边剪边训的方法、留存的训练、标题与通知。 */

import type { training as en } from '../en/training.js';

/** 引擎对各阶段的叫法。 */
function what(name: string): string {
  const [word = name, number = ''] = name.split(' ');
  if (word === 'penalty') return '带惩罚的训练';
  if (word === 'cut') return '刚剪完';
  if (word === 'fine-tune') return '剪后训练';
  if (word === 'round') return `第 ${number} 轮剪训`;
  if (number === 'ticks') return `${word} 次 tick 之后`;
  return `${word.charAt(0).toUpperCase()}${word.slice(1)} ${number}`;
}

export const training: typeof en = {
  together: {
    way: '训练方式',
    after: '剪后训练',
    title: '边剪边训',
    lead: '网络一边学着不依赖某些通道，方法一边决定剪掉哪些。它从原模型开始，达到“剪枝”一步里设定的目标。留空的数字由方法自己决定。',
    method: '方法',
    presets: {
      'gate-decorator': [
        'Gate Decorator（tick-tock）',
        'You 等，Gate Decorator，NeurIPS 2019',
        '每个通道都有一个门。tick 为门打分并剪掉少量通道，tock 在其间训练整个网络。',
      ],
      'group-lasso': ['组套索（DepGraph）', 'Fang 等，DepGraph，CVPR 2023', '训练时，弱的通道组比强的衰减得更快，最后剪掉最弱的。'],
      slimming: [
        'Network Slimming',
        'Liu 等，Network Slimming，ICCV 2017',
        '把 BatchNormalization 的缩放系数拉向零，剪掉系数最小的通道。',
      ],
      'group-slimming': [
        '按组的 Network Slimming',
        'Liu 等，ICCV 2017，分组取自 Fang 等，CVPR 2023',
        '与 Network Slimming 相同，但必须一起剪去的通道，其系数一起拉向零。',
      ],
      growing: [
        '增长正则化',
        'Wang 等，Neural Pruning via Growing Regularization，ICLR 2021',
        '一开始就选定要剪的通道，让它们衰减得越来越快，直到剪掉也毫无损失。',
      ],
      'growing-group': ['按组的增长正则化', 'Wang 等，ICLR 2021，分组取自 Fang 等，CVPR 2023', '所有通道都衰减，越弱的衰减得越来越快。'],
      soft: ['软滤波器剪枝', 'He 等，Soft Filter Pruning，IJCAI 2018', '一次次把最弱的滤波器置零，它们在结束前仍可能恢复。'],
      'soft-hard': ['软滤波器剪枝（带掩码）', 'He 等，FPGM，CVPR 2019', '与软滤波器剪枝相同，但置零后不再恢复。'],
      iterative: [
        '剪一点，训一点',
        'Han 等，Learning both Weights and Connections，NeurIPS 2015',
        '先剪一部分，再训练，如此反复。',
      ],
    },
    short: ['简短版', '只训练几轮，而不是论文里的几百轮；惩罚更强'],
    before: '剪前轮数',
    afterCut: '剪后轮数',
    target: '这需要以通道、MACs 或参数量为目标：请在“剪枝”一步里选择。',
    start: '边剪边训',
    broken: '在剪枝之前停止了。最后一个检查点已保留。',
    stages: '每个阶段之后还剩什么',
    stage: '阶段',
    steps: '步数',
    what,
    whole: (group, why) => `${group} 保持完整：${why}`,
    macs: '剩余 MACs',
    now: '正在进行',
  },
  teacher: {
    title: '学习对象',
    choices: { auto: '自动选择', distill: '标签与未剪的模型', 'cross-entropy': '只学标签' },
    unlabelled: '没有标签时，剪枝后的模型学习像未剪的模型那样作答。',
    more: '先看一眼未剪的模型：如果它确实学会了这些标签，除标签外也学习它的输出。',
    learnt: (loss, guessing) => `除标签外也学习了未剪的模型：它的交叉熵是 ${loss}，随机猜测是 ${guessing}。`,
    not: (loss, guessing) => `只学习了标签：未剪的模型的交叉熵是 ${loss}，比随机猜测的 ${guessing} 好不了多少。`,
  },
  kept: {
    title: '接着上次继续',
    run: (model, share, when) => `${model} 的训练在 ${share} 处中断，${when}。`,
    done: (model, when) => `${model} 已完成训练，${when}。`,
    goOn: '继续',
    open: '打开结果',
    forget: '丢弃',
    more: '它只保存在这个浏览器里。',
    needs: (name) => `图像不会留存，需要你再添加一次 ${name}。`,
    images: (name) => `模型已恢复。请再添加一次 ${name}，训练会自动继续。`,
    gone: '留存的训练已无法读取。请重新开始。',
  },
  tell: {
    title: (share, stretch, paused) => `${paused ? '已暂停，' : ''}${stretch ? `${what(stretch)} ` : ''}${share} – Lopper`,
    ask: '完成时通知我',
    done: (model) => `${model} 已完成训练`,
    accuracy: (share) => `验证图像上的准确率为 ${share}`,
  },
};
