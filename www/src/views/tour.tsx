import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import * as store from '../store.js';
import { text } from '../strings.js';
import { CHAPTERS, TASKS } from '../tour/chapters.js';
import * as tour from '../tour/state.js';
import { Check } from './step.js';

/** The control at a place, or the step that it will appear in. */
const find = (place: string): HTMLElement | null =>
  document.querySelector<HTMLElement>(place) ?? document.querySelector<HTMLElement>(place.split(' ')[0] ?? place);

const HERE = 'data-tour-here';

/** Marks the control of the task that comes next, also when it appears later or is made anew. */
function useMark(place: string | undefined): void {
  useEffect(() => {
    if (place === undefined) return undefined;
    const mark = (): void => {
      const wanted = find(place);
      for (const old of document.querySelectorAll(`[${HERE}]`)) if (old !== wanted) old.removeAttribute(HERE);
      wanted?.setAttribute(HERE, '');
    };
    mark();
    const changed = new MutationObserver(mark);
    changed.observe(document.body, { childList: true, subtree: true });
    return () => {
      changed.disconnect();
      for (const old of document.querySelectorAll(`[${HERE}]`)) old.removeAttribute(HERE);
    };
  }, [place]);
}

/** Brings a control into sight and gives it the keyboard. */
function show(place: string): void {
  const control = find(place);
  control?.scrollIntoView({ block: 'center' });
  const own = control?.querySelector<HTMLElement>('input:enabled, select:enabled, button:enabled, summary, canvas, h2');
  own?.focus({ preventScroll: true });
}

function Chapters() {
  return (
    <ol class="tour-chapters" aria-label={text.tour.chapterList}>
      {CHAPTERS.map((id, index) => (
        <li key={id}>
          <button
            type="button"
            class="tour-chapter"
            aria-current={tour.chapter.value === id ? 'step' : undefined}
            title={text.tour.chapters[id].title}
            onClick={() => tour.goTo(id)}
          >
            <span aria-hidden="true">{tour.chapterDone(id) ? <Check /> : index + 1}</span>
            <span class="hidden">
              {text.tour.chapters[id].title}
              {tour.chapterDone(id) && `, ${text.tour.done}`}
            </span>
          </button>
        </li>
      ))}
    </ol>
  );
}

function Tasks() {
  const id = tour.chapter.value;
  const next = tour.nextTask.value;
  return (
    <div class="tour-try">
      <h3>{text.tour.try}</h3>
      <ol class="tour-tasks">
        {text.tour.chapters[id].tasks.map((words, task) => {
          const done = tour.taskDone(id, task);
          return (
            <li key={task} class={done ? 'is-done' : task === next ? 'is-next' : undefined}>
              <span class="tour-tick" aria-hidden="true">
                {done ? <Check /> : task + 1}
              </span>
              <span>
                {words}
                {done && <span class="hidden"> ({text.tour.done})</span>}
              </span>
              <button
                type="button"
                class="button link small"
                aria-label={text.tour.showTask(words)}
                onClick={() => show(TASKS[id][task]?.place ?? '#cut')}
              >
                {text.tour.show}
              </button>
            </li>
          );
        })}
      </ol>
    </div>
  );
}

function Body() {
  if (!tour.onSample.value) {
    const opening = store.busy.value;
    return (
      <div class="tour-body">
        <p>{opening ? text.tour.waiting : store.model.value ? text.tour.needsSample : text.tour.lead}</p>
        <button type="button" class="button primary" disabled={opening} onClick={() => void tour.takeSample()}>
          {text.tour.openSample}
        </button>
      </div>
    );
  }
  const { words, look, from } = text.tour.chapters[tour.chapter.value];
  return (
    <div class="tour-body">
      <p class="tour-words">{words}</p>
      <Tasks />
      <p class="tour-look">
        <b>{text.tour.look}</b> {look}{' '}
        <span class="quiet-text">{text.tour.from(from)}</span>
      </p>
    </div>
  );
}

function Feet() {
  const id = tour.chapter.value;
  const at = CHAPTERS.indexOf(id);
  const [before, after] = [CHAPTERS[at - 1], CHAPTERS[at + 1]];
  const done = tour.chapterDone(id);
  const through = CHAPTERS.every(tour.chapterDone);
  return (
    <div class="tour-feet">
      <p role="status" class="tour-said">
        {through ? text.tour.finished : done ? text.tour.chapterDone : ''}
      </p>
      {tour.begun.value && (
        <button type="button" class="button link small" onClick={tour.startOver}>
          {text.tour.again}
        </button>
      )}
      <button type="button" class="button small" disabled={!before} onClick={() => before && tour.goTo(before)}>
        {text.tour.back}
      </button>
      <button
        type="button"
        class={done ? 'button small primary' : 'button small'}
        disabled={!after}
        onClick={() => after && tour.goTo(after)}
      >
        {text.tour.next}
      </button>
    </div>
  );
}

function Dock() {
  const folded = useSignal(false);
  const head = useRef<HTMLHeadingElement>(null);
  const id = tour.chapter.value;
  const next = tour.nextTask.value;
  useMark(next === undefined || !tour.onSample.value ? undefined : TASKS[id][next]?.place);
  useEffect(() => head.current?.focus({ preventScroll: true }), [id, tour.onSample.value]);
  // Whoever leaves stands where the tour can be entered again.
  useEffect(() => () => document.querySelector<HTMLElement>('.tour-start')?.focus({ preventScroll: true }), []);
  useEffect(() => {
    const escape = (event: KeyboardEvent): void => {
      // Whatever lies above the page is closed first.
      if (event.key === 'Escape' && !document.querySelector('.graph-wide, .menu[open]')) tour.leaveTour();
    };
    document.addEventListener('keydown', escape, { capture: true });
    return () => document.removeEventListener('keydown', escape, { capture: true });
  }, []);
  return (
    <section class="tour" aria-labelledby="tour-title">
      <div class="tour-inner">
        <div class="tour-head">
          <h2 id="tour-title" tabIndex={-1} ref={head}>
            <span class="quiet-text">{text.tour.chapter(CHAPTERS.indexOf(id) + 1, CHAPTERS.length)}</span>{' '}
            {text.tour.chapters[id].title}
          </h2>
          <Chapters />
          <div class="tour-tools">
            <button type="button" class="icon" aria-expanded={!folded.value} aria-label={folded.value ? text.tour.unfold : text.tour.fold} onClick={() => (folded.value = !folded.value)}>
              <span aria-hidden="true">{folded.value ? '\u2303' : '\u2304'}</span>
            </button>
            <button type="button" class="icon" aria-label={text.tour.leave} title={`${text.tour.leave} (Esc)`} onClick={tour.leaveTour}>
              <span aria-hidden="true">{'\u00d7'}</span>
            </button>
          </div>
        </div>
        {!folded.value && <Body />}
        {!folded.value && tour.onSample.value && <Feet />}
      </div>
    </section>
  );
}

/** The tour at the foot of the page, while it runs. It blocks nothing: its tasks are done on the page itself. */
export function Tour() {
  return tour.running.value ? <Dock /> : null;
}
