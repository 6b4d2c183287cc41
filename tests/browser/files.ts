/** Files that the tests make themselves: a small ONNX model, PNG pictures, a zip of them. */

import { crc32, deflateSync } from 'node:zlib';

/** A file as the page's drop handler gets it. */
export interface TestFile {
  name: string;
  bytes: Buffer;
}

/** Uniform numbers from 0 to 1, the same every time. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

// Protobuf, as far as an ONNX model needs it.

const varint = (value: number): Buffer => {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
};
const key = (field: number, wire: number): Buffer => varint(field * 8 + wire);
export const whole = (field: number, value: number): Buffer => Buffer.concat([key(field, 0), varint(value)]);
export const block = (field: number, bytes: Buffer): Buffer => Buffer.concat([key(field, 2), varint(bytes.length), bytes]);
export const words = (field: number, value: string): Buffer => block(field, Buffer.from(value));

export function attribute(name: string, values: number[] | number): Buffer {
  const kind = typeof values === 'number' ? [whole(3, values), whole(20, 2)] : [...values.map((value) => whole(8, value)), whole(20, 7)];
  return block(5, Buffer.concat([words(1, name), ...kind]));
}

export function node(op: string, inputs: string[], output: string, attributes: Buffer[] = [], name = `${op}_${output}`): Buffer {
  return block(
    1,
    Buffer.concat([...inputs.map((name) => words(1, name)), words(2, output), words(3, name), words(4, op), ...attributes]),
  );
}

/** Data of tensors that lie in a file beside the model. */
interface Beside {
  name: string;
  parts: Buffer[];
}

export function tensor(name: string, dims: number[], random: () => number, beside?: Beside): Buffer {
  const count = dims.reduce((product, size) => product * size, 1);
  // Uniform with the variance that keeps a ReLU network's signals in range.
  const bound = Math.sqrt(6 / Math.max(1, count / (dims[0] ?? 1)));
  const data = Buffer.alloc(count * 4);
  for (let index = 0; index < count; index += 1) data.writeFloatLE((random() * 2 - 1) * bound, index * 4);
  const head = [...dims.map((size) => whole(1, size)), whole(2, 1), words(8, name)];
  if (!beside) return block(5, Buffer.concat([...head, block(9, data)]));
  const entry = (key: string, value: string): Buffer => block(13, Buffer.concat([words(1, key), words(2, value)]));
  const offset = beside.parts.reduce((sum, part) => sum + part.length, 0);
  beside.parts.push(data);
  const place = [entry('location', beside.name), entry('offset', `${offset}`), entry('length', `${data.length}`), whole(14, 1)];
  return block(5, Buffer.concat([...head, ...place]));
}

export function port(field: number, name: string, dims: (number | string)[]): Buffer {
  const shape = Buffer.concat(dims.map((size) => block(1, typeof size === 'number' ? whole(1, size) : words(2, size))));
  return block(field, Buffer.concat([words(1, name), block(2, block(1, Buffer.concat([whole(1, 1), block(2, shape)])))]));
}

/** Conv 16, Relu, Conv 24, Relu, global average, Gemm: an untrained classifier of 16 x 16 pictures. */
export const smallModel = (): TestFile => small();

/** The same, with its tensors in a second file. */
export function splitModel(): [TestFile, TestFile] {
  const beside: Beside = { name: 'small.weights', parts: [] };
  const model = small(beside);
  return [model, { name: beside.name, bytes: Buffer.concat(beside.parts) }];
}

function small(beside?: Beside): TestFile {
  const classes = 4;
  const random = randomNumbers(7);
  const conv = [attribute('kernel_shape', [3, 3]), attribute('pads', [1, 1, 1, 1])];
  const graph = Buffer.concat([
    node('Conv', ['input', 'first.weight', 'first.bias'], 'a', [...conv, attribute('strides', [1, 1])]),
    node('Relu', ['a'], 'b'),
    node('Conv', ['b', 'second.weight', 'second.bias'], 'c', [...conv, attribute('strides', [2, 2])]),
    node('Relu', ['c'], 'd'),
    node('GlobalAveragePool', ['d'], 'e'),
    node('Flatten', ['e'], 'f', [attribute('axis', 1)]),
    node('Gemm', ['f', 'last.weight', 'last.bias'], 'logits', [attribute('transB', 1)]),
    words(2, 'small'),
    tensor('first.weight', [16, 3, 3, 3], random, beside),
    tensor('first.bias', [16], random, beside),
    tensor('second.weight', [24, 16, 3, 3], random, beside),
    tensor('second.bias', [24], random, beside),
    tensor('last.weight', [classes, 24], random, beside),
    tensor('last.bias', [classes], random, beside),
    port(11, 'input', ['N', 3, 16, 16]),
    port(12, 'logits', ['N', classes]),
  ]);
  const bytes = Buffer.concat([whole(1, 8), words(2, 'lopper browser tests'), block(7, graph), block(8, whole(2, 17))]);
  return { name: 'small.onnx', bytes };
}

// PNG and zip.

function chunk(kind: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(kind), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** An RGB picture; `pixel` gives red, green and blue, 0 to 255. */
export function png(side: number, pixel: (x: number, y: number) => readonly [number, number, number]): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const rows: number[] = [];
  for (let y = 0; y < side; y += 1) {
    rows.push(0);
    for (let x = 0; x < side; x += 1) rows.push(...pixel(x, y));
  }
  return Buffer.concat([
    Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.from(rows))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** A zip that only stores. */
export function zip(entries: readonly { name: string; bytes: Buffer }[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, bytes } of entries) {
    const title = Buffer.from(name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(bytes.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(title.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, title, bytes]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 0]), common, tail, title]));
    parts.push(local);
    offset += local.length;
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(list.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...parts, list, Buffer.from('PK\x05\x06'), end]);
}

/** Pictures of four colours, one folder a colour, with noise: learnt within a few steps. */
export function colours(perClass: number): TestFile[] {
  const random = randomNumbers(11);
  const classes: [string, readonly [number, number, number]][] = [
    ['blue', [60, 80, 190]],
    ['green', [60, 170, 80]],
    ['grey', [120, 120, 120]],
    ['red', [190, 70, 60]],
  ];
  return classes.flatMap(([name, colour]) =>
    Array.from({ length: perClass }, (_, number) => ({
      name: `${name}/${String(number).padStart(3, '0')}.png`,
      bytes: png(16, () => colour.map((value) => Math.round(value + (random() - 0.5) * 110)) as [number, number, number]),
    })),
  );
}

export const colourZip = (): TestFile => ({ name: 'colours.zip', bytes: zip(colours(60)) });
