import { forgetKept, goOnWithKept } from '../actions/kept.js';
import { take } from '../actions/model.js';
import { trySample } from '../actions/sample.js';
import * as format from '../format.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { begun, startTour } from '../tour/state.js';
import { FileButton } from './controls.js';
import { STEP_IDS } from './step.js';

/** Rows of channels, some of them about to go: what the program does, as a picture. */
const PICTURE: readonly (readonly [width: number, kept: number])[] = [
  [30, 30],
  [54, 31],
  [54, 54],
  [70, 38],
  [70, 70],
  [100, 52],
  [100, 100],
  [84, 40],
];

/** Height of a row and the gap below it, in pixels. */
const PITCH = 32;

function Picture() {
  return (
    <figure class="hero-picture">
      <svg width="100%" height={PICTURE.length * PITCH - 12} aria-hidden="true">
        {PICTURE.map(([width, kept], row) => (
          <g key={row}>
            <rect class="bar-gone-ground" x={`${kept}%`} y={row * PITCH} width={`${width - kept}%`} height={PITCH - 12} />
            <rect class="bar-gone" x={`${kept}%`} y={row * PITCH} width={`${width - kept}%`} height={PITCH - 12} />
            <rect class="bar-kept" y={row * PITCH} width={`${kept}%`} height={PITCH - 12} />
          </g>
        ))}
      </svg>
      <figcaption>{text.landing.or}</figcaption>
    </figure>
  );
}

function Shield() {
  return (
    <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d="M8 1.5 13.5 3.5v4c0 3.4-2.3 5.9-5.5 7-3.2-1.1-5.5-3.6-5.5-7v-4z" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linejoin="round" />
      <path d="M5.5 8 7.3 9.8 10.6 6.2" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}

function EngineLine() {
  const engine = store.engine.value;
  const device = store.device.value;
  const running = store.task.value;
  if (running) return <p class="engine-line">{text.tasks[running.name]}{'\u2026'}</p>;
  if (engine.state === 'loading' || engine.state === 'recovering') return <p class="engine-line">{text.landing.loading}</p>;
  if (engine.state === 'failed') return null;
  return (
    <p class="engine-line">
      <span class={`lamp lamp-${device?.kind ?? 'none'}`} aria-hidden="true" />
      {device && `${device.name} (${text.said(device.why)})`}
    </p>
  );
}

/** A run that was broken off: on with it, or away. */
function Kept(props: { ready: boolean }) {
  const run = store.kept.value;
  if (!run) return null;
  const { model, share, saved, finished, data } = run.note;
  const when = format.ago(Date.now() - saved);
  return (
    <section class="kept" aria-labelledby="kept-title">
      <h2 id="kept-title">{text.kept.title}</h2>
      <p>
        {finished ? text.kept.done(model, when) : text.kept.run(model, format.percent(share), when)} {text.kept.more}{' '}
        {!data.sample && text.kept.needs(data.name)}
      </p>
      <div class="actions">
        <button type="button" class="button" disabled={!props.ready} onClick={() => void goOnWithKept()}>
          {finished ? text.kept.open : text.kept.goOn}
        </button>
        <button type="button" class="button link" onClick={() => void forgetKept()}>
          {text.kept.forget}
        </button>
      </div>
    </section>
  );
}

export function Landing() {
  const ready = store.engine.value.state === 'ready' && !store.busy.value;
  return (
    <main class="landing" id="top">
      <div class="hero">
        <div class="hero-words">
          <p class="privacy">
            <Shield />
            <span>
              <b>{text.landing.privacy}</b> {text.landing.privacyMore}
            </span>
          </p>
          <h1>{text.landing.title}</h1>
          <p class="hero-lead">{text.landing.lead}</p>
          <div class="hero-actions">
            <FileButton
              label={text.landing.choose}
              accept=".onnx,.zip,.npz,.data,.bin,.weights"
              primary
              multiple
              disabled={!ready}
              take={(files) => void take(files)}
            />
            <button type="button" class="button" disabled={!ready} onClick={() => void trySample()}>
              {text.landing.sample}
            </button>
            <button type="button" class="button" disabled={!ready} onClick={() => void startTour()}>
              {begun.value ? text.tour.goOn : text.tour.start}
            </button>
          </div>
          <p class="hint">{text.landing.sampleMore}</p>
          <p class="hint">{text.tour.lead}</p>
          <Kept ready={ready} />
          <EngineLine />
        </div>
        <Picture />
      </div>
      <section class="outline" aria-label={text.landing.stepsTitle}>
        <ol>
          {STEP_IDS.map((id, index) => (
            <li key={id}>
              <span class="step-mark" aria-hidden="true">
                {index + 1}
              </span>
              <b>{text.steps[id].title}</b>
              <span>{text.steps[id].more}</span>
            </li>
          ))}
        </ol>
      </section>
    </main>
  );
}
