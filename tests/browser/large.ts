/** Models as large as people's own: the widths of ResNet-50, and a graph of ten thousand nodes. */

import { type TestFile, attribute, block, node, port, randomNumbers, tensor, whole, words } from './files.js';

/** The nodes and tensors of a model, in the order in which they are written. */
class Writer {
  readonly #nodes: Buffer[] = [];
  readonly #tensors: Buffer[] = [];
  readonly #random = randomNumbers(11);

  add(op: string, inputs: string[], name: string, attributes: Buffer[] = []): string {
    this.#nodes.push(node(op, inputs, name, attributes, `/${name.replaceAll('.', '/')}`));
    return name;
  }

  conv(input: string, name: string, from: number, to: number, kernel: number, stride = 1): string {
    this.#tensors.push(tensor(`${name}.weight`, [to, from, kernel, kernel], this.#random), tensor(`${name}.bias`, [to], this.#random));
    const pad = (kernel - 1) / 2;
    return this.add('Conv', [input, `${name}.weight`, `${name}.bias`], name, [
      attribute('kernel_shape', [kernel, kernel]),
      attribute('pads', [pad, pad, pad, pad]),
      attribute('strides', [stride, stride]),
    ]);
  }

  /** Closes with global average, Flatten and Gemm. */
  done(name: string, last: string, channels: number, classes: number, side: number): TestFile {
    const pooled = this.add('GlobalAveragePool', [last], 'pool');
    const flat = this.add('Flatten', [pooled], 'flat', [attribute('axis', 1)]);
    this.#tensors.push(tensor('fc.weight', [classes, channels], this.#random), tensor('fc.bias', [classes], this.#random));
    this.add('Gemm', [flat, 'fc.weight', 'fc.bias'], 'logits', [attribute('transB', 1)]);
    const parts = [...this.#nodes, words(2, name), ...this.#tensors, port(11, 'input', ['N', 3, side, side]), port(12, 'logits', ['N', classes])];
    const bytes = Buffer.concat([whole(1, 8), words(2, 'lopper browser tests'), block(7, Buffer.concat(parts)), block(8, whole(2, 17))]);
    return { name: `${name}.onnx`, bytes };
  }
}

/** Bottlenecks with the widths and depths of ResNet-50: 25.6 million parameters, 102 MB. */
export function resnet50(): TestFile {
  const writer = new Writer();
  let now = writer.add('Relu', [writer.conv('input', 'conv1', 3, 64, 7, 2)], 'relu');
  let channels = 64;
  [3, 4, 6, 3].forEach((blocks, stage) => {
    const width = 64 << stage;
    for (let index = 0; index < blocks; index += 1) {
      const name = `layer${stage + 1}.${index}`;
      const stride = index === 0 && stage > 0 ? 2 : 1;
      const first = writer.add('Relu', [writer.conv(now, `${name}.conv1`, channels, width, 1)], `${name}.relu1`);
      const second = writer.add('Relu', [writer.conv(first, `${name}.conv2`, width, width, 3, stride)], `${name}.relu2`);
      const third = writer.conv(second, `${name}.conv3`, width, width * 4, 1);
      const shortcut = index === 0 ? writer.conv(now, `${name}.downsample`, channels, width * 4, 1, stride) : now;
      now = writer.add('Relu', [writer.add('Add', [third, shortcut], `${name}.add`)], `${name}.relu3`);
      channels = width * 4;
    }
  });
  return writer.done('resnet50', now, channels, 1000, 224);
}

/** Residual blocks of five nodes, ten thousand nodes in all. */
export function tenThousand(): TestFile {
  const writer = new Writer();
  const width = 4;
  let now = writer.conv('input', 'stem', 3, width, 3);
  for (let index = 0; index < 2000; index += 1) {
    const name = `stage${Math.floor(index / 200)}.block${index % 200}`;
    const first = writer.add('Relu', [writer.conv(now, `${name}.conv1`, width, width, 3)], `${name}.relu1`);
    const sum = writer.add('Add', [writer.conv(first, `${name}.conv2`, width, width, 3), now], `${name}.add`);
    now = writer.add('Relu', [sum], `${name}.relu2`);
  }
  return writer.done('tenthousand', now, width, 10, 8);
}
