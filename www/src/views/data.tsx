import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { setNormalize, take } from '../actions/model.js';
import * as format from '../format.js';
import type { DataSummary, Thumbnail } from '../protocol.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { FileButton, TaskProgress } from './controls.js';
import { Step } from './step.js';

type Preset = keyof typeof text.data.presets;
const PRESETS = ['imagenet', 'cifar10', 'none'] as const;

function Picture(props: { picture: Thumbnail }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { width, height, rgba, label } = props.picture;
  useEffect(() => {
    const pixels = Uint8ClampedArray.from(atob(rgba), (letter) => letter.charCodeAt(0));
    if (pixels.length !== width * height * 4) return;
    canvas.current?.getContext('2d')?.putImageData(new ImageData(pixels, width, height), 0, 0);
  }, [width, height, rgba]);
  return (
    <li class="picture">
      <canvas ref={canvas} width={width} height={height} role="img" aria-label={label} />
      <span title={label}>{label}</span>
    </li>
  );
}

function Split(props: { split: DataSummary['split'] }) {
  const { train, validation, test } = props.split;
  const all = Math.max(1, train + validation + test);
  const parts = [
    ['train', train],
    ['validation', validation],
    ['test', test],
  ] as const;
  let x = 0;
  return (
    <figure class="split" aria-label={text.data.splitLabel}>
      <svg width="100%" height="8" aria-hidden="true">
        {parts.map(([name, images]) => {
          const start = x;
          const width = (images / all) * 100;
          x += width;
          return <rect key={name} class={`split-${name}`} x={`${start}%`} width={`${width}%`} height="8" />;
        })}
      </svg>
      <figcaption>
        {parts.map(([name, images]) => (
          <span key={name} class={`split-name split-name-${name}`}>
            {format.exactly(images)} {text.data[name]}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

const numbers = (words: string): number[] => words.split(',').map((word) => (word.trim() === '' ? Number.NaN : Number(word)));

function OwnValues() {
  const [meanNow = '0.5', deviationNow = '0.5'] = PRESETS.some((preset) => preset === store.normalize.value)
    ? []
    : store.normalize.value.split('/');
  const mean = useSignal(meanNow);
  const deviation = useSignal(deviationNow);
  const wrong = useSignal(false);
  const apply = (): void => {
    const means = numbers(mean.value);
    const deviations = numbers(deviation.value);
    wrong.value =
      means.length !== deviations.length ||
      !means.every(Number.isFinite) ||
      !deviations.every((value) => Number.isFinite(value) && value > 0);
    if (!wrong.value) void setNormalize(`${means.join(',')}/${deviations.join(',')}`);
  };
  return (
    <div class="fields own-values">
      <label class="field">
        <span class="field-label">{text.data.mean}</span>
        <input type="text" value={mean.value} onInput={(event) => (mean.value = event.currentTarget.value)} />
      </label>
      <label class="field">
        <span class="field-label">{text.data.deviation}</span>
        <input type="text" value={deviation.value} onInput={(event) => (deviation.value = event.currentTarget.value)} />
      </label>
      <button type="button" class="button" disabled={store.busy.value} onClick={apply}>
        {text.data.ownApply}
      </button>
      <p class={wrong.value ? 'hint problem' : 'hint'} role={wrong.value ? 'alert' : undefined}>
        {wrong.value ? text.data.ownBad : text.data.ownHelp}
      </p>
    </div>
  );
}

function Normalize() {
  const preset = PRESETS.find((name) => name === store.normalize.value);
  const own = useSignal(preset === undefined);
  const value: Preset = own.value ? 'own' : (preset ?? 'own');
  // The sample brings its own values with it.
  const fixed = store.dataSource.value?.kind === 'sample';
  if (fixed) return null;
  return (
    <>
      <label class="field">
        <span class="field-label">{text.data.normalize}</span>
        <select
          value={value}
          disabled={store.busy.value}
          onChange={(event) => {
            const chosen = event.currentTarget.value as Preset;
            own.value = chosen === 'own';
            if (chosen !== 'own') void setNormalize(chosen);
          }}
        >
          {Object.entries(text.data.presets).map(([name, label]) => (
            <option key={name} value={name}>
              {label}
            </option>
          ))}
        </select>
      </label>
      {value === 'own' && <OwnValues />}
    </>
  );
}

export function DataStep() {
  const data = store.data.value;
  const busy = store.busy.value;
  const note = data && text.data.holds(format.exactly(data.images), data.classes.length);
  return (
    <Step id="data" state={data ? 'done' : 'open'} note={note}>
      {!data && <p class="lead">{text.data.lead}</p>}
      {data && (
        <>
          <ul class="pictures" aria-label={text.data.preview}>
            {data.thumbnails.map((picture, index) => (
              <Picture key={index} picture={picture} />
            ))}
          </ul>
          <Split split={data.split} />
          {!data.labelled && !data.targets && <p class="hint">{text.data.unlabelled}</p>}
        </>
      )}
      <div class="actions data-actions">
        <FileButton
          label={data ? text.data.change : text.data.choose}
          accept=".zip,.npz"
          primary={!data}
          disabled={busy}
          take={(files) => void take(files)}
        />
        <FileButton label={text.data.chooseFolder} accept="" folder disabled={busy} take={(files) => void take(files)} />
        <Normalize />
      </div>
      <TaskProgress name="data" />
    </Step>
  );
}
