// Runs in the page: see page.mjs.
import * as jax from './_jax.js';
import * as tfjs from './_tfjs.js';

const BATCH = 32;
const row = (who, what, figure) => console.log(`${who.padEnd(28)} ${what.padEnd(44)} ${figure}`);
const bytes = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
const sorted = (list) => [...list].sort((a, b) => a - b);
const median = (list) => sorted(list)[list.length >> 1];
const spread = (list) => `${median(list).toFixed(1)} (${sorted(list)[0].toFixed(1)}-${sorted(list).at(-1).toFixed(1)})`;

/** Milliseconds that `work` takes each time; `before` is not counted. */
async function times(work, runs, warm = 1, before = () => undefined) {
  const list = [];
  for (let i = 0; i < warm + runs; i += 1) {
    await before();
    const start = performance.now();
    await work();
    if (i >= warm) list.push(performance.now() - start);
  }
  return list;
}

/** What the page has asked of the GPU so far. */
const asked = { dispatches: 0, submits: 0, waits: 0 };
for (const [owner, name, what] of [
  ['GPUComputePassEncoder', 'dispatchWorkgroups', 'dispatches'],
  ['GPUComputePassEncoder', 'dispatchWorkgroupsIndirect', 'dispatches'],
  ['GPUQueue', 'submit', 'submits'],
  ['GPUBuffer', 'mapAsync', 'waits'],
]) {
  const { prototype } = globalThis[owner] ?? {};
  if (!prototype) continue;
  const own = prototype[name];
  prototype[name] = function counted(...rest) {
    asked[what] += 1;
    return own.apply(this, rest);
  };
}

const perStep = (before, after, steps) => Object.keys(asked).map((k) => ((after[k] - before[k]) / steps).toFixed(2)).join(' / ');

/** Counts what one more step of a peer asks of the GPU. */
async function step(who, work) {
  const before = { ...asked };
  await work();
  row(who, 'dispatches / submits / waits a step', perStep(before, asked, 1));
}

async function engine() {
  const core = await import('/pkg/lopper_web.js');
  await core.default();
  const steps = [];
  const progress = (text) => {
    const { task, step: done } = JSON.parse(text);
    if (task === 'tune') steps.push({ done, at: performance.now(), ...asked });
  };
  const died = (message) => console.log(`the engine died: ${message}`);
  return { lopper: new core.Lopper(progress, () => undefined, died), steps };
}

const half = JSON.stringify({ criterion: 'l1', scope: 'group', target: { ratio: 0.5 }, floor: null, multiple: null, locks: [], seed: 0 });

/** `proofs`: how often it is cut; each cut runs the original and the cut model. */
async function cutting(name, proofs) {
  const { lopper } = await engine();
  const model = await bytes(`/files/${name}.onnx`);
  const anew = () => lopper.open(model, `${name}.onnx`, [], new Float64Array(), () => undefined);
  const open = await times(anew, 11, 3);
  // A second plan by the same criterion would find its scores.
  const plan = await times(() => lopper.plan(half), 11, 3, anew);
  const cuts = [];
  for (let i = 0; i < proofs; i += 1) {
    anew();
    await lopper.cut(half);
    cuts.push(JSON.parse(lopper.report('cut')).seconds);
  }
  // As many bytes that are no model: they are copied into wasm and refused at the first.
  const none = new Uint8Array(model.length).fill(1);
  const copy = await times(() => {
    try {
      lopper.open(none, 'none.onnx', [], new Float64Array(), () => undefined);
    } catch { /* meant */ }
  }, 11, 3);
  row('page', `${model.length} bytes copied into wasm and refused, ms`, spread(copy));
  row(`lopper, wasm, ${name}`, 'open (copy into wasm, graph, groups), ms', spread(open));
  row(`lopper, wasm, ${name}`, 'plan, ms', spread(plan));
  for (const part of Object.keys(cuts[0])) row(`lopper, wasm, ${name}`, `${part}, ms (report)`, spread(cuts.map((c) => c[part] * 1e3)));
}

/** `fpgm_l2` of VGG-16's convolutions against the same distances by a matrix product in onnxruntime-web. */
async function distances() {
  const { lopper } = await engine();
  lopper.open(await bytes('/files/vgg16.onnx'), 'vgg16.onnx', [], new Float64Array(), () => undefined);
  await lopper.device('cpu');
  const rank = (criterion) => JSON.stringify({ ...JSON.parse(half), criterion });
  // Scores of the last plan are kept, so each plan follows one by another criterion.
  const other = () => lopper.plan(rank('l2'));
  const all = await times(() => lopper.plan(rank('fpgm_l2')), 5, 2, other);
  const without = await times(() => lopper.plan(rank('l1')), 5, 2, other);
  const ours = median(all) - median(without);
  const ort = await import('/ort/ort.wasm.min.mjs');
  ort.env.wasm.numThreads = 1;
  // Otherwise everything, being constant, would be worked out before the first run.
  const session = await ort.InferenceSession.create(await bytes('/files/vgg16-distances.onnx'), { graphOptimizationLevel: 'disabled' });
  const theirs = await times(() => session.run({}), 5, 2);
  row('lopper, wasm', "fpgm_l2 of VGG-16's convolutions, ms", ours.toFixed(0));
  row('onnxruntime-web, wasm, 1 thread', 'the same by matrix products, ms', spread(theirs));
  row('ratio', '', (median(theirs) / ours).toFixed(2));
}

async function runtime(input) {
  const ort = await import('/ort/ort.wasm.min.mjs');
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(await bytes('/golden/resnet20_simplified.onnx'));
  const tensor = new ort.Tensor('float32', input, [BATCH, 3, 32, 32]);
  const list = await times(() => session.run({ [session.inputNames[0]]: tensor }), 11, 3);
  row('onnxruntime-web, wasm, 1 thread', 'evaluation, images/s', ((BATCH / median(list)) * 1e3).toFixed(0));
}

async function ours(device, input, { runs, steps }) {
  const own = await engine();
  const { lopper } = own;
  const start = performance.now();
  const answer = JSON.parse(await lopper.device(device));
  row(`lopper, ${device}`, 'open the device, self-test included, s', `${((performance.now() - start) / 1e3).toFixed(1)} (${answer.kind})`);
  lopper.open(await bytes('/golden/resnet20_simplified.onnx'), 'resnet20.onnx', [], new Float64Array(), () => undefined);
  const shape = JSON.stringify([BATCH, 3, 32, 32]);
  const list = await times(() => lopper.run('original', input, shape), runs);
  row(`lopper, ${device}`, 'evaluation, images/s', ((BATCH / median(list)) * 1e3).toFixed(1));
  await lopper.data('sgd640', ['sgd640.npz'], [await bytes('/golden/sgd640.npz')], JSON.stringify({ normalize: 'cifar10', seed: 0, validation: 0, test: 0 }));
  own.steps.length = 0;
  await lopper.tune(JSON.stringify({ epochs: 1, steps, learning_rate: 0.002, batch: BATCH, seed: 0, resume: false }));
  // A GPU tells of its steps when losses are read, every few steps; what comes after the last step is not one.
  const pairs = own.steps.slice(1).map((now, i) => [own.steps[i], now]).filter(([before, now]) => now.done > before.done);
  row(`lopper, ${device}`, 'training step, ms', spread(pairs.map(([before, now]) => (now.at - before.at) / (now.done - before.done))));
  const [before, now] = pairs.at(-1);
  if (device === 'gpu') row('lopper, gpu', 'dispatches / submits / waits a step', perStep(before, now, now.done - before.done));
}

/** Measures the named parts: core, scores, cpu, gpu; peers adds TensorFlow.js and jax-js, which take minutes. */
export async function main(parts) {
  const input = Float32Array.from({ length: BATCH * 3 * 32 * 32 }, (_, i) => Math.sin(i * 12.9898) * 2);
  if (parts.includes('core')) await cutting('resnet18', 11);
  if (parts.includes('core')) await cutting('resnet50', 3);
  if (parts.includes('scores')) await distances();
  if (parts.includes('cpu')) {
    await runtime(input);
    await ours('cpu', input, { runs: 11, steps: 20 });
    if (parts.includes('peers')) await tfjs.measure('cpu', input, { runs: 2, steps: 2, times, row, spread, median });
  }
  if (parts.includes('gpu')) {
    await ours('gpu', input, { runs: 2, steps: 8 });
    if (parts.includes('peers')) {
      await tfjs.measure('webgpu', input, { runs: 2, steps: 4, times, step, row, spread, median });
      await jax.measure(input, { steps: 4, times, step, row, spread });
    }
  }
  // Peers alone, where ours have been measured already.
  if (parts.includes('tfjs')) await tfjs.measure('webgpu', input, { runs: 2, steps: 4, times, step, row, spread, median });
  if (parts.includes('jax')) await jax.measure(input, { steps: 4, times, step, row, spread });
}
