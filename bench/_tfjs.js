// ResNet-20 in TensorFlow.js, as golden/resnet20 is built: the peer of training in the page.
const load = (source) =>
  new Promise((done, fail) => {
    const tag = Object.assign(document.createElement('script'), { src: source, onload: done, onerror: () => fail(new Error(source)) });
    document.head.append(tag);
  });

function network(tf) {
  const conv = (x, filters, strides) =>
    tf.layers.batchNormalization().apply(tf.layers.conv2d({ filters, strides, kernelSize: 3, padding: 'same', useBias: false }).apply(x));
  const relu = (x) => tf.layers.reLU().apply(x);
  const input = tf.input({ shape: [32, 32, 3] });
  let x = relu(conv(input, 16, 1));
  for (const [stage, width] of [16, 32, 64].entries()) {
    for (let block = 0; block < 3; block += 1) {
      const strides = stage > 0 && block === 0 ? 2 : 1;
      const inner = conv(relu(conv(x, width, strides)), width, 1);
      // A strided pool and zero channels stand for the option-A shortcut: layers have no slice.
      let shortcut = x;
      if (strides === 2) {
        const small = tf.layers.averagePooling2d({ poolSize: 1, strides: 2 }).apply(x);
        const side = tf.layers.conv2d({ filters: width / 2, kernelSize: 1, kernelInitializer: 'zeros', trainable: false, useBias: false }).apply(small);
        shortcut = tf.layers.concatenate().apply([small, side]);
      }
      x = relu(tf.layers.add().apply([inner, shortcut]));
    }
  }
  const out = tf.layers.dense({ units: 10 }).apply(tf.layers.globalAveragePooling2d({ dataFormat: 'channelsLast' }).apply(x));
  return tf.model({ inputs: input, outputs: out });
}

/** Inference and training at the batch of `input`, on one of TensorFlow.js's backends. */
export async function measure(backend, input, { runs, steps, times, step, row, spread, median }) {
  if (!globalThis.tf) await load('/tfjs/tf.min.js');
  if (backend === 'webgpu') await load('/tfgpu/tf-backend-webgpu.min.js');
  const { tf } = globalThis;
  await tf.setBackend(backend);
  await tf.ready();
  const batch = input.length / (3 * 32 * 32);
  const [x, y] = [tf.tensor(input, [batch, 32, 32, 3]), tf.oneHot(tf.range(0, batch, 1, 'int32').mod(tf.scalar(10, 'int32')), 10)];
  const net = network(tf);
  const infer = await times(async () => (await net.predictOnBatch(x).data()).length, runs);
  row(`TensorFlow.js, ${backend}`, 'evaluation, images/s', ((batch / median(infer)) * 1e3).toFixed(1));
  const optimizer = tf.train.momentum(0.002, 0.9);
  const loss = () => tf.losses.softmaxCrossEntropy(y, net.apply(x, { training: true }));
  const one = async () => (await optimizer.minimize(loss, true).data()).length;
  const list = await times(one, steps);
  row(`TensorFlow.js, ${backend}`, 'training step, ms', spread(list));
  if (backend === 'webgpu') await step('TensorFlow.js, webgpu', one);
}
