/** Sentences of the engine in Chinese. What reading, cutting, recipes and runs say. `patterns.ts` says how a line is written. */

import type { Patterns } from '../patterns.js';

export const errors: Patterns = {
  // core/cut/apply.rs
  'its output would have shape {} instead of {}': '其输出的形状将是 {} 而不是 {}',
  'a number computed from a size that the cut changes keeps its old value': '由被剪尺寸算出的某个数保持原值',
  'the cut model is not valid: {}': '剪后的模型无效：{}',
  'value {} has shape {} instead of {} after the cut': '剪枝后值 {} 的形状是 {} 而不是 {}',
  // core/cut/context.rs
  'the {} cannot be written for every batch size': '{}无法写成适用于任意批大小的形式',
  'the {} is not known before the model runs': '{}在模型运行之前未知',
  'blocks keep {} channels, which differ': '各块保留的通道数为 {}，互不相同',
  'rows keep different positions': '各行保留的位置不同',
  'rows would need different bounds': '各行需要不同的边界',
  'positions of a slice': '切片的位置',
  'order of a channel shuffle': '通道混洗的顺序',
  '{} indices are left, which do not fill {}': '剩下 {} 个索引，填不满 {}',
  'indices of a gather': 'gather 的索引',
  'no output': '没有输出',
  'divisor of a mean': '平均值的除数',
  // core/cut/emptied.rs
  '{} would hold known numbers of type {}, which cannot be written': '{} 将是类型为 {} 的已知数，无法写出',
  'leave a channel of what makes it': '请为产生它的层至少保留一个通道',
  'what a branch computes of which no channel is left': '通道全部剪去的分支所算出的值',
  'nothing would be left of what makes its input {}, and what it then computes cannot be written: leave at least one channel of {}':
    '产生其输入 {} 的部分将一个通道也不剩，而它随后的计算结果无法写出。请至少保留 {} 的一个通道',
  // core/cut/kept.rs
  'what is left of axes {} is no grid: rows would keep different numbers': '轴 {} 剩下的位置不成网格：各行保留的数目会不同',
  // core/cut/mask.rs
  'tensor {}: what was cut of it is not in it': '张量 {}：其中没有被剪去的那些位置',
  'the mask names {}, {}': '掩码提到 {}，{}',
  'which the model does not have': '但模型中没有它',
  'which is no initializer': '但它不是权重',
  'but not such positions of it': '但它没有这样的位置',
  // core/cut/places.rs
  '{} has too many elements to be followed': '{} 的元素过多，无法跟踪',
  // core/cut/slice.rs
  'a parameter whose channels span three axes cannot be cut yet': '通道跨三个轴的参数尚不能剪',
  'tensor {}: elements of type {} cannot be cut yet': '张量 {}：类型为 {} 的元素尚不能剪',
  // core/graph/build.rs
  'the model does not say which version of the standard operators it uses': '模型没有说明使用哪个版本的标准算子',
  'the model uses operator set {}; {} is the oldest supported: convert it with onnx.version_converter':
    '模型使用算子集版本 {}，而支持的最低版本是 {}。请用 onnx.version_converter 转换',
  'the graph holds no nodes': '计算图中没有节点',
  'graph output': '计算图的输出',
  'the name {} is defined twice': '名称 {} 被定义了两次',
  'the graph input {} is listed twice': '计算图的输入 {} 被列出两次',
  'a whole number': '整数',
  'a list of whole numbers': '整数列表',
  'the attribute {} has to be {}': '属性 {} 必须是{}',
  'nothing defines its input {}': '它的输入 {} 没有定义',
  'it depends on its own output through a circle of nodes': '它通过一圈节点依赖于自己的输出',
  // core/graph/infer.rs
  'input {} is missing': '缺少输入 {}',
  'input {} has to hold whole numbers, not {}': '输入 {} 必须是整数，而不是 {}',
  'input {} has to be a list, not {}': '输入 {} 必须是一维列表，而不是 {}',
  'axis {} is out of range for {} axes': '轴 {} 超出范围：共 {} 个轴',
  '{} axes are more than the {} that are supported': '有 {} 个轴，超过支持的 {} 个',
  'an axis of {} has a negative length': '{} 中有一个轴的长度为负',
  '{} has more elements than any memory holds': '{} 的元素多到任何内存都放不下',
  // core/graph/mod.rs
  'the graph has no value {}': '计算图中没有值 {}',
  // core/mask/amount.rs
  '{} {} cannot be masked where {} are still unmasked: ask for fewer, or for a share': '尚未掩码的只有 {3} 个，无法掩码 {1} 个{2}。请减少数目，或给出比例',
  'a share of {} is out of range: give 0 to 1, or a whole number': '比例 {} 超出范围。请给出 0 到 1 的比例，或一个整数',
  '{} is no amount: give a whole number such as 7, or a share such as 0.3': '{} 不是有效的数量。请给出整数（如 7）或比例（如 0.3）',
  // core/mask/custom_from_mask.rs
  'the mask has {} entries and the tensor {}: give one 0 or 1 an entry': '掩码有 {} 个元素，而张量有 {} 个。请为每个元素给出 0 或 1',
  // core/mask/export.rs
  'the model holds no graph': '模型中没有计算图',
  // core/mask/ln_structured.rs
  'the order of a norm must be a number, inf or -inf': '范数的阶必须是数字、inf 或 -inf',
  '{} is no order of a norm: give a number, inf or -inf': '{} 不是范数的阶。请给出数字、inf 或 -inf',
  'the order of a norm must be a number, "inf" or "-inf"': '范数的阶必须是数字、"inf" 或 "-inf"',
  // core/mask/mod.rs
  'a mask is given for {}, which is no float tensor of the model': '给 {} 指定了掩码，但它不是模型的浮点张量',
  '{} matches no float tensor of the model': '{} 与模型的任何浮点张量都不匹配',
  'the model has no weight that such a mask fits': '模型中没有适合这种掩码的权重',
  'its layers do not say along which axis its channels lie: name the axis': '从它的各层看不出通道在哪个轴上。请指明该轴',
  '{} is no float tensor of the model': '{} 不是模型的浮点张量',
  '{} has no mask that could be made permanent': '{} 没有可以固化的掩码',
  // core/mask/n_m.rs
  '{} is no pattern: give N:M with 1 <= N <= M, such as 2:4': '{} 不是有效的模式。请给出 N:M，1 <= N <= M，例如 2:4',
  '{}:{} does not fit an axis of {}: choose a pattern that divides it': '{}:{} 不适合长度为 {} 的轴。请选择能整除它的模式',
  // core/mask/rank.rs
  'entry {} is infinite or not a number, so it has no place in the order: repair the weights first': '第 {} 个元素是无穷大或非数，无法排序。请先修复权重',
  'masks of whole channels need at least two axes, and this tensor has {}': '整通道的掩码至少需要两个轴，而这个张量有 {} 个',
  'there is no axis {} in the shape {}: count from 0': '形状 {2} 中没有轴 {1}。请从 0 数起',
  // core/onnx/data.rs
  '{} bytes were read where {} are expected: open the model anew': '读到 {} 字节，而应为 {} 字节。请重新打开模型',
  // core/onnx/data_type.rs
  'data type {} is not one that ONNX defines': '数据类型 {} 不是 ONNX 定义的类型',
  // core/onnx/inline.rs
  'the function {} calls itself, which ONNX does not allow': '函数 {} 调用了自身，这在 ONNX 中是不允许的',
  'functions are nested more than {} deep': '函数嵌套超过 {} 层',
  'the calls of functions stand for more than {} nodes': '函数调用展开后超过 {} 个节点',
  // core/onnx/read.rs
  'the model keeps tensors in {}, which could be {} or {}: give only one of them': '模型的张量存放在 {} 中，而它可能是 {} 或 {}。请只给出其中一个',
  'the model keeps tensors in {}, which is not here: open that file together with the model': '模型的张量存放在 {} 中，而该文件不在这里。请连同模型一起打开它',
  '{} is too short for offset {}': '{} 太短，没有偏移 {} 处的数据',
  '{} bytes of {} from {}': '{2} 中从 {3} 起的 {1} 字节',
  'the file is empty': '文件是空的',
  'this is no ONNX model: it names neither an IR version nor an operator set': '这不是 ONNX 模型：既没有 IR 版本，也没有算子集',
  'the bytes are no ONNX model: it does not start like one': '这些字节不是 ONNX 模型：开头就不对',
  'the file ends in the middle: it was cut short or is no ONNX model': '文件中途结束：它被截断了，或者不是 ONNX 模型',
  'messages are nested more than {} deep: no exporter writes such a model': '消息嵌套超过 {} 层：没有导出工具会写出这样的模型',
  'the file exceeds a limit of the reader ({})': '文件超过读取器的限制（{}）',
  'the bytes are no ONNX model ({})': '这些字节不是 ONNX 模型（{}）',
  'external {} {} is no length': '外部数据的 {} {} 不是长度',
  'external data without a location': '外部数据没有给出位置',
  '{} bytes are more than one tensor may have here': '{} 字节超过此处单个张量的上限',
  'external data at {} would leave the model\'s folder: refused': '位于 {} 的外部数据会越出模型所在的文件夹，已拒绝',
  // core/onnx/sparse.rs
  'sparse tensor {}: {}': '稀疏张量 {}：{}',
  'a dimension is negative': '某个维度为负',
  '{} numbers have places of shape {}': '{} 个数的位置形状为 {}',
  'place {} is outside of its shape {}': '位置 {} 超出形状 {}',
  // core/onnx/tensor.rs
  '{} dimensions are more than {}': '{} 个维度，超过 {} 个',
  'dimension {} is negative': '维度 {} 为负',
  'dimensions {} are too large': '维度 {} 过大',
  'dimensions {} of {} need {} bytes, but the file holds {}': '类型 {2}、维度 {1} 需要 {3} 字节，而文件中有 {4} 字节',
  '{} strings expected, {} found': '应有 {} 个字符串，实为 {} 个',
  'tensor {}: whole numbers expected, found {}': '张量 {}：应为整数，实为 {}',
  '{} without raw data': '{} 没有原始数据',
  // core/onnx/write.rs
  'the model with all its tensors is too large: one ONNX file holds at most 2 GiB': '模型连同全部张量过大：单个 ONNX 文件最多 2 GiB',
  // core/recipe/compact.rs
  'the recipe cannot be written ({})': '配方无法写出（{}）',
  'this is no recipe: it is neither JSON nor a compact recipe that is whole': '这不是配方：既不是 JSON，也不是完整的紧凑形式',
  // core/recipe/mod.rs
  'this is no recipe ({})': '这不是配方（{}）',
  'the recipe is of version {}, and this program knows version {}: use the program that wrote it': '配方的版本是 {}，而本程序支持版本 {}。请使用写出它的程序',
  'this is no recipe: it has no field "version", which must be {}': '这不是配方：它没有字段 "version"，其值必须是 {}',
  'the recipe cannot be followed as it is written ({}): mend or remove that field': '配方无法照此执行（{}）。请修改或删除该字段',
  'the recipe says nothing of what to do: give mask, cut, tune or prune_train': '配方没有说明要做什么。请给出 mask、cut、tune 或 prune_train',
  'the recipe cannot be written as JSON ({})': '配方无法写成 JSON（{}）',
  // core/score/criterion.rs
  'an exponent of {} makes no norm: give a number above 0, as in lp(3)': '指数 {} 不构成范数。请给出大于 0 的数，例如 lp(3)',
  'a norm rate of {} is out of range: give the share that goes by norm, 0 <= R < 1': '按范数剪去的比例 {} 超出范围。请给出 0 <= R < 1',
  'a weight of {} for {} makes no mixture: give a number': '{2} 的权重 {1} 不能用于混合。请给出一个数',
  '{} in {} is no number': '{2} 中的 {1} 不是数字',
  'there is no criterion {}: choose one of {}': '没有度量 {}。请从中选择：{}',
  'the criterion {} takes no number: leave out what is in brackets': '度量 {} 不带参数。请去掉括号中的内容',
  // core/score/normalize.rs
  'there is no normaliser {}: choose one of {}': '没有归一化方法 {}。请从中选择：{}',
  // core/score/reduce.rs
  'there is no reduction {}: choose one of {}': '没有归约方法 {}。请从中选择：{}',
  // core/score/weights.rs
  'weight {} has no elements': '权重 {} 没有元素',
  '{} has no score for {}: {} numbers for {} channels; lock the group or choose another': '{1} 无法为 {2} 打分：{3} 个数对应 {4} 个通道。请锁定该组或选择其他度量',
  'bn_scale has no score for {}: no BatchNormalization is behind it, or it was folded into the weights; score by group_norm or l2 instead, or lock the group':
    'bn_scale 无法为 {} 打分：它之后没有 BatchNormalization，或者已并入权重。请改用 group_norm 或 l2，或锁定该组',
  'images with their classes': '带类别的图像',
  'the criterion {} needs {}: give some, or choose one that looks at weights only': '度量 {} 需要{}。请添加，或选择只看权重的度量',
  'the {} score of channel {} is infinite or not a number, so it cannot be ranked': '通道 {2} 的 {1} 分数是无穷大或非数，无法排序',
  // pipeline/checkpoint.rs
  'it was not written by this version of Lopper': '它不是由此版本的 Lopper 写出的',
  'its header is damaged ({})': '它的文件头已损坏（{}）',
  'it belongs to other images, or to another split of them: load those that the run began with': '它属于其他图像或另一种划分。请加载该次运行开始时的图像',
  'it belongs to another model': '它属于另一个模型',
  'it belongs to another cut of this model: cut with its settings first': '它属于此模型的另一次剪枝。请先按其设置剪枝',
  // pipeline/cutting.rs
  'the cut was cancelled': '剪枝已取消',
  'nothing has been cut yet': '尚未剪枝',
  'both models at once need about {} MB of memory: `lopper verify ORIGINAL PRUNED REPORT` runs the proof':
    '两个模型同时需要约 {} MB 内存：`lopper verify ORIGINAL PRUNED REPORT` 可完成验证',
  'the cut model differs from the masked original by {} of the largest output where {} is allowed: this is a bug in Lopper, and the cut was thrown away':
    '剪后的模型与掩码后的原模型相差最大输出的 {}，而允许 {}：这是 Lopper 的错误，此次剪枝已丢弃',
  'proof of the cut': '剪枝的验证',
  // pipeline/describe.rs
  'there is no dependency rule for it: what it touches stays whole': '它没有依赖规则：与它相关的部分保持完整',
  'it cannot be run here: no proof, evaluation or fine-tuning': '它在这里无法运行：不能验证、评估或微调',
  // pipeline/disagree.rs
  'the comparison was cancelled': '比较已取消',
  // pipeline/evaluate.rs
  'there is no image to test with: give more images': '没有用于测试的图像。请提供更多图像',
  'the evaluation was cancelled': '评估已取消',
  // pipeline/export.rs
  'the cut could not be proved, so it is not handed out: {}': '这次剪枝无法验证，因此不提供下载：{}',
  'not run, because {}': '未运行，因为{}',
  'the cut model equals the masked original on random input': '在随机输入上，剪后的模型与掩码后的原模型相等',
  'run, but a statistic over cut channels is computed anew, so the outputs may differ': '已运行，但跨被剪通道的统计量会重新计算，因此输出可能不同',
  'the result cannot be written as JSON ({})': '结果无法写成 JSON（{}）',
  // pipeline/images.rs
  'there is no validation image to choose settings by: give more images, or a larger share for validation':
    '没有用于选择设置的验证图像。请提供更多图像，或提高验证的份额',
  'reading the images was cancelled': '读取图像已取消',
  'no images are loaded yet': '尚未加载图像',
  'this model cannot be fed with images: {}': '此模型无法接受图像：{}',
  'it has {} inputs': '它有 {} 个输入',
  'its input {} has {} axes instead of 4': '它的输入 {} 有 {} 个轴，而不是 4 个',
  'the shape of its input {} is not known': '其输入 {} 的形状未知',
  // pipeline/latency.rs
  'the measurement was cancelled': '测量已取消',
  'input {} has no shape, so the model cannot be timed': '输入 {} 没有形状，无法为模型计时',
  // pipeline/look.rs
  'there is no filter {}: the layer has {}': '没有滤波器 {}：该层有 {} 个',
  'there is no image {}: {} are loaded': '没有图像 {}：已加载 {} 幅',
  'there are too few images to look at: give more images': '可查看的图像太少。请提供更多图像',
  'looking for silent channels was cancelled': '查找静默通道已取消',
  'there is no layer {}: the model has {}': '没有第 {} 层：模型有 {} 层',
  '{} has {} filters, and no more than {} can be shown': '{} 有 {} 个滤波器，而最多显示 {} 个',
  // pipeline/mask.rs
  'zeros alone make nothing faster: a runtime multiplies them like any other number; what whole channels are dead can be cut':
    '仅仅置零不会变快：运行时乘零与乘其他数一样；整个失效的通道则可以剪去',
  'there is no mask to take back: mask the model first': '没有可撤销的掩码。请先对模型掩码',
  'nothing is masked yet': '尚未掩码',
  // pipeline/methods/decorator.rs
  'these are no options of a gate decorator': '这些不是 Gate Decorator 的选项',
  'no layer of a prunable group can carry a gate: take group-lasso or growing': '可剪的组中没有能带门的层。请选用 group-lasso 或 growing',
  'the target was not met': '没有达到目标',
  'give a share of channels, MACs or parameters as the target': '请以通道、MACs 或参数的比例作为目标',
  'the target cannot be reached: what is left is at its floor; give a smaller --min-ratio or lock less': '无法达到目标：剩下的已到下限。请减小 --min-ratio 或减少锁定',
  // pipeline/methods/gates.rs
  'no gate fits the layer of {}: it has neither scale and shift of its own nor plain filters': '{} 的层不能带门：它既没有自己的缩放和平移，也没有普通的滤波器',
  // pipeline/methods/mod.rs
  'there is no checkpoint of pruning and training together to go on from': '没有可供继续的边剪边训检查点',
  '{} images are fewer than one batch of {}': '{} 幅图像不足一批（{} 幅）',
  'give more images or a smaller batch': '请提供更多图像或减小批大小',
  'nothing was cut yet: this is a bug in Lopper': '尚未剪枝：这是 Lopper 的错误',
  'iterative cuts rank by weights only: choose a criterion such as l1 or group_norm': '迭代剪枝只按权重排序。请选择 l1 或 group_norm 之类的度量',
  '0 rounds lead nowhere: give 1 or more': '0 轮没有意义。请给出 1 或更大的数',
  '{} is no weight of a convolution or linear layer, so no scale follows it': '{} 不是卷积层或全连接层的权重，其后没有缩放系数',
  'no group of the model passes a BatchNormalization, so there are no scales to shrink: take group-lasso or growing':
    '模型没有经过 BatchNormalization 的组，因此没有可收缩的缩放系数。请选用 group-lasso 或 growing',
  // pipeline/methods/preset.rs
  'there is no preset {}: choose one of {}': '没有预设 {}。请从中选择：{}',
  'a batch of 0 images cannot be trained on: give 1 or more': '批大小为 0 无法训练。请给出 1 或更大的数',
  'before the cut': '剪枝前',
  'after the cut': '剪枝后',
  'a learning rate of {} {} makes no sense: give a number above 0': '{2}的学习率 {1} 没有意义。请给出大于 0 的数',
  '{} epochs {} make no sense: give 0 or more': '{2}的轮数 {1} 没有意义。请给出 0 或更大的数',
  'a number of the method is out of range: shares and counts are above 0': '方法的某个数超出范围：比例和个数须大于 0',
  // pipeline/methods/recipe.rs
  '{} has no {}': '{} 没有 {}',
  // pipeline/methods/run.rs
  'the training was cancelled': '训练已取消',
  // pipeline/methods/soft.rs
  'soft pruning needs a share of channels, MACs or parameters': '软剪枝需要通道、MACs 或参数的比例',
  'the target cannot be reached: {} % are left at least; lock fewer groups': '无法达到目标：至少剩下 {} %。请减少锁定的组',
  // pipeline/methods/uncut.rs
  'what training remembers of {} does not fit the cut: this is a bug in Lopper': '训练为 {} 记录的状态与剪枝不符：这是 Lopper 的错误',
  // pipeline/options.rs
  'a learning rate of {} makes no sense: give a number above 0, such as 0.02': '学习率 {} 没有意义。请给出大于 0 的数，例如 0.02',
  'there is nothing to do in 0 epochs: give 1 or more, or a stage of recovery': '0 轮训练无事可做。请给出 1 或更大的数，或选择一个修复阶段',
  // pipeline/predictions.rs
  'there is no image to compare by: give more images': '没有可用于比较的图像。请提供更多图像',
  // pipeline/recipe.rs
  'the recipe trains: give the images to learn from': '该配方要训练。请提供用于学习的图像',
  'the recipe holds both "tune" and "prune_train", which has a fine-tune of its own: leave one out': '配方同时含有 "tune" 和自带微调的 "prune_train"。请去掉其中之一',
  'the recipe\'s "prune_train" makes no sense ({})': '配方的 "prune_train" 没有意义（{}）',
  'the recipe names a preset but not what is to go: add "cut" with a target': '配方指定了预设，却没有说明剪去多少。请添加带目标的 "cut"',
  'the recipe\'s fine-tuning makes no sense ({})': '配方的微调设置没有意义（{}）',
  // pipeline/recover.rs
  'the opened model cannot be told to be cut from this original: no tensor of it is the original\'s with slices missing; give the file that lopper prune wrote, before any fine-tune':
    '看不出打开的模型是由这个原模型剪枝得到的：它没有任何张量是原模型张量去掉切片的结果。请给出 lopper prune 写出、尚未微调的文件',
  'bias and lstsq compare with the model that was cut: name it (--original on the command line)': 'bias 和 lstsq 要与被剪的模型比较。请指明它（命令行中用 --original）',
  're-estimation was cancelled': '重新估计已取消',
  // pipeline/rules.rs
  'a momentum is from 0 to less than 1': '动量为 0 到小于 1',
  'a weight decay is 0 or more': '权重衰减不小于 0',
  'gradients are clipped to a norm above 0': '梯度裁剪的范数须大于 0',
  'a warm-up is a share of the steps, from 0 to 1': '预热是步数的比例，为 0 到 1',
  'labels are smoothed by 0 to less than 1': '标签平滑为 0 到小于 1',
  '1 batch or more makes a step': '每步至少 1 批',
  'a temperature is above 0': '温度须大于 0',
  'a teacher\'s share is from 0 to 1': '教师的比重为 0 到 1',
  'give such a number': '请给出这样的数',
  // pipeline/scores.rs
  'the model holds no weight of a convolution or linear layer': '模型中没有卷积层或全连接层的权重',
  'a batch of 0 images cannot be scored by: give 1 or more': '批大小为 0 无法打分。请给出 1 或更大的数',
  'scoring was cancelled': '打分已取消',
  'the criterion {} needs {}: load some first (--data on the command line)': '度量 {} 需要{}。请先加载（命令行中用 --data）',
  // pipeline/sensitivity.rs
  'give ratios between 0 and 1, such as 0.1,0.3,0.5': '请给出 0 到 1 之间的比例，例如 0.1,0.3,0.5',
  'no channel goes at any of these ratios: ask for larger ones': '这些比例都不会剪去任何通道：请给出更大的比例',
  '{} % of the MACs cannot be reached: with the largest ratios that were measured {} % are left': '无法达到 {} % 的 MACs：按测量过的最大比例还剩 {} %',
  // pipeline/session.rs
  'nothing has been fine-tuned yet': '尚未微调',
  'no model is open yet': '尚未打开模型',
  // pipeline/sweep.rs
  'as it is': '原样',
  'recipes are compared by right answers: give images with classes': '配方按正确率比较。请提供带类别的图像',
  // pipeline/teacher.rs
  'classes of places cannot be mixed: leave mixup out of the augmentation': '逐位置的类别不能混合。请在数据增强中去掉 mixup',
  'the uncut model is not known: name it (--original on the command line)': '原模型未知。请指明它（命令行中用 --original）',
  'the uncut model is not known': '原模型未知',
  '{}, or leave the loss to the data (auto)': '{}，或让损失由数据决定（auto）',
  'give an npz with an array "targets"': '请提供含数组 "targets" 的 npz',
  'a regression needs numbers to learn: {} of floats': '回归需要学习数值：{}（浮点数）',
  'a segmentation needs a class for each place: {} of whole numbers': '分割需要每个位置一个类别：{}（整数）',
  'the images have targets instead of a class each: use regression or segmentation': '图像带有目标，而不是各一个类别。请使用 regression 或 segmentation',
  // pipeline/tune.rs
  'there is no image to learn from: give more images': '没有用于学习的图像。请提供更多图像',
  'that of epoch {}': '第 {} 轮的模型',
  'that before the first step': '第一步之前的模型',
  '{}; the last good model, {}, is kept': '{}；已保留最后的可用模型，即{}',
  'there is no checkpoint to go on from': '没有可供继续的检查点',
  'the checkpoint is of pruning and training together, not of a fine-tune': '该检查点属于边剪边训，不属于微调',
  'the loss of the validation images stopped being a number: use a lower learning rate': '验证图像的损失变为非数。请降低学习率',
  // pipeline/tune/ahead.rs
  'the nodes before the cut are told by comparing with the uncut model: name it (--original on the command line)':
    '剪枝处之前的节点要与原模型比较才能得知。请指明它（命令行中用 --original）',
  'nothing is to be frozen by {}: no parameter\'s name matches, or the first node was changed': '{} 没有冻结任何内容：没有参数名与之匹配，或第一个节点已改变',
  'no convolution has a bias and no normalisation, so there is nothing to scale: leave affine out': '没有带偏置的卷积，也没有归一化，因此没有可缩放的内容。请去掉 affine',
  // web/lib.rs
  'there is no control {}: use pause, resume or cancel': '没有控制 {}。请使用 pause、resume 或 cancel',
  'measure the sensitivity first': '请先测量敏感度',
  'the page could not take the file': '页面无法接收该文件',
  'the model\'s first output holds no real numbers': '模型的第一个输出不是实数',
  'another call is still running': '另一个调用仍在进行',
  'these options cannot be understood: {}': '这些选项无法理解：{}',
  'the answer cannot be written as JSON: {}': '结果无法写成 JSON：{}',
  // web/page.rs
  '{} can no longer be read: open the model anew': '{} 已无法读取。请重新打开模型',
};
