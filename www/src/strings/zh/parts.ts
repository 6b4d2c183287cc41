/** Single words and places that the engine puts into its sentences, in Chinese. */

import type { Patterns } from '../patterns.js';

export const parts: Patterns = {
  'node {} ({})': '节点 {}（{}）',
  'The engine has not started yet.': '引擎尚未启动。',
  activations: '激活函数',
  reductions: '归约',
  slice: '切片',
  padding: '填充',
  concatenation: '拼接',
  images: '图像',
  labels: '标签',
  targets: '目标',
  classes: '类别',
  channels: '通道',
  rows: '行',
  columns: '列',
  bytes: '字节',
  parameters: '参数量',
  'a ratio': '比例',
  'a number': '数字',
  'a text': '文本',
  'a graph': '计算图',
  convolution: '卷积',
  pooling: '池化',
};
