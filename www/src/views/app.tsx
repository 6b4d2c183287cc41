import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { takeDrop } from '../actions/model.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Card } from './card.js';
import { CutStep } from './cut.js';
import { DataStep } from './data.js';
import { DownloadStep } from './download.js';
import { EvaluateStep } from './evaluate.js';
import { GroupsStep, HatchPattern } from './groups.js';
import { Header } from './header.js';
import { Landing } from './landing.js';
import { ModelStep } from './model.js';
import { Notices } from './notices.js';
import { ProofStep } from './proof.js';
import { SampleBanner } from './sample.js';
import { Tour } from './tour.js';
import { TuneStep } from './tune.js';

const carriesFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;

/** The whole window takes files. */
function DropZone() {
  const over = useSignal(false);
  useEffect(() => {
    // Entering a child leaves its parent, so the depth is counted.
    let depth = 0;
    const enter = (event: DragEvent): void => {
      if (!carriesFiles(event)) return;
      depth += 1;
      over.value = true;
    };
    const leave = (event: DragEvent): void => {
      if (!carriesFiles(event)) return;
      depth = Math.max(0, depth - 1);
      over.value = depth > 0;
    };
    const hover = (event: DragEvent): void => {
      if (carriesFiles(event)) event.preventDefault();
    };
    const drop = (event: DragEvent): void => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      depth = 0;
      over.value = false;
      void takeDrop(event.dataTransfer);
    };
    const end = new AbortController();
    window.addEventListener('dragenter', enter, end);
    window.addEventListener('dragleave', leave, end);
    window.addEventListener('dragover', hover, end);
    window.addEventListener('drop', drop, end);
    return () => end.abort();
  }, []);
  if (!over.value) return null;
  return (
    <div class="drop" aria-hidden="true">
      <div class="drop-inner">
        <b>{text.drop.title}</b>
        <span>{text.drop.more}</span>
      </div>
    </div>
  );
}

/** Progress for ears: every quarter, not every step. */
function Spoken() {
  const running = store.task.value;
  const tune = running?.name === 'tune' || running?.name === 'train' ? store.tuneProgress.value : undefined;
  const done = tune ? tune.step : (running?.done ?? 0);
  const total = tune ? tune.steps : (running?.total ?? 0);
  const quarter = total > 0 ? Math.floor((done / total) * 4) * 25 : 0;
  return (
    <p class="hidden" role="status" aria-live="polite">
      {running ? text.task.progress(text.tasks[running.name], quarter) : ''}
    </p>
  );
}

function Failed() {
  const engine = store.engine.value;
  if (engine.state !== 'failed') return null;
  return (
    <div class="notices">
      <div class="notice notice-bad" role="alert">
        <p>
          {text.errors.engine} {engine.message} {text.errors.reload}
        </p>
      </div>
    </div>
  );
}

function Workspace() {
  const name = store.model.value?.summary.name;
  const first = useRef<HTMLElement>(null);
  useEffect(() => {
    // A new model begins at its first step, for the eye and for the keyboard.
    first.current?.querySelector<HTMLElement>('h2')?.focus({ preventScroll: true });
    window.scrollTo({ top: 0 });
  }, [name]);
  return (
    <main class="workspace" id="top" ref={first}>
      <h1 class="hidden">{name}</h1>
      <div class="steps">
        <SampleBanner />
        <ModelStep />
        <GroupsStep />
        <CutStep />
        <DataStep />
        <EvaluateStep />
        <TuneStep />
        <ProofStep />
        <DownloadStep />
      </div>
      <Card />
    </main>
  );
}

export function App() {
  return (
    <>
      <HatchPattern />
      <Header />
      <Failed />
      <Notices />
      {store.model.value ? <Workspace /> : <Landing />}
      <Tour />
      <Spoken />
      <DropZone />
    </>
  );
}
