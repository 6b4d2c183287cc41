// ResNet-20 in jax-js, as golden/resnet20 is built: the peer of training in the page. A value that is used again says so
// with `.ref`.
const widths = [16, 16, 16, 16, 16, 16, 16, 32, 32, 32, 32, 32, 32, 64, 64, 64, 64, 64, 64];
const strides = (at) => (at === 7 || at === 13 ? 2 : 1);

function network({ numpy: np, lax, nn }) {
  const norm = (x, scale, shift) => {
    const axes = [0, 2, 3];
    const off = x.ref.sub(np.mean(x, axes, { keepdims: true }));
    const variance = np.mean(np.square(off.ref), axes, { keepdims: true });
    return off.mul(np.reciprocal(np.sqrt(variance.add(1e-5)))).mul(scale.reshape([1, -1, 1, 1])).add(shift.reshape([1, -1, 1, 1]));
  };
  const layer = (p, at, x) => norm(lax.convGeneralDilated(x, p.w[at].ref, [strides(at), strides(at)], [[1, 1], [1, 1]]), p.scale[at].ref, p.shift[at].ref);
  return (p, x, y) => {
    const images = x.shape[0];
    let at = 0;
    x = nn.relu(layer(p, at, x));
    while (at + 2 < widths.length) {
      const inner = layer(p, at + 2, nn.relu(layer(p, at + 1, x.ref)));
      if (strides(at + 1) === 2) {
        const [, channels, size] = x.shape;
        const every = x.reshape([images, channels, size / 2, 2, size / 2, 2]).slice([], [], [], 0, [], 0);
        x = np.pad(every, [[0, 0], [channels / 2, channels / 2], [0, 0], [0, 0]]);
      }
      x = nn.relu(inner.add(x));
      at += 2;
    }
    const logits = np.matmul(np.mean(x, [2, 3]), p.dense.ref).add(p.bias.ref);
    return np.mean(np.sum(nn.logSoftmax(logits, 1).mul(y), 1)).mul(-1);
  };
}

/** Training at the batch of `input`. */
export async function measure(input, { steps, times, step, row, spread }) {
  const jax = await import('/jax/index.js');
  const { numpy: np, tree } = jax;
  await jax.init('webgpu');
  jax.defaultDevice('webgpu');
  const batch = input.length / (3 * 32 * 32);
  const x = np.array(input).reshape([batch, 3, 32, 32]);
  const y = np.array(Float32Array.from({ length: batch * 10 }, (_, i) => Number(Math.floor(i / 10) % 10 === i % 10))).reshape([batch, 10]);
  const random = (shape, size) => np.array(Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin((i + 1) * 78.233) * size)).reshape(shape);
  const from = (at) => (at === 0 ? 3 : widths[at - 1]);
  let p = {
    w: widths.map((width, at) => random([width, from(at), 3, 3], Math.sqrt(2 / (from(at) * 9)))),
    scale: widths.map((width) => np.ones([width])),
    shift: widths.map((width) => np.zeros([width])),
    dense: random([64, 10], 0.1),
    bias: np.zeros([10]),
  };
  let v = tree.map((t) => np.zerosLike(t.ref), p);
  const learn = jax.jit((p, v, x, y) => {
    const [loss, gradient] = jax.valueAndGrad(network(jax))(tree.ref(p), x, y);
    v = tree.map((v, g) => v.mul(0.9).add(g), v, gradient);
    return [loss, tree.map((p, v) => p.sub(v.ref.mul(0.002)), p, v), v];
  });
  const one = async () => {
    let loss;
    [loss, p, v] = learn(p, v, x.ref, y.ref);
    tree.ref(v);
    await loss.data();
  };
  const list = await times(one, steps);
  row('jax-js, webgpu', 'training step, ms', spread(list));
  await step('jax-js, webgpu', one);
}
