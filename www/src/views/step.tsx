import type { ComponentChildren } from 'preact';
import { text } from '../strings.js';

export type StepId = keyof typeof text.steps;
export type StepState = 'waiting' | 'open' | 'done';

export const STEP_IDS = Object.keys(text.steps) as StepId[];

export function Check() {
  return (
    <svg class="check" viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
      <path d="M3 8.5 6.5 12 13 4.5" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}

/** The frame of one step: number or check mark, title, a short note, and the body. */
export function Step(props: {
  id: StepId;
  state: StepState;
  note?: ComponentChildren;
  children?: ComponentChildren;
}) {
  const { title, more } = text.steps[props.id];
  const number = STEP_IDS.indexOf(props.id) + 1;
  return (
    <section id={props.id} class={`step step-${props.state}`} aria-labelledby={`${props.id}-title`}>
      <header class="step-head">
        <span class="step-mark" aria-hidden="true">
          {props.state === 'done' ? <Check /> : number}
        </span>
        <h2 id={`${props.id}-title`} tabIndex={-1}>
          {title}
        </h2>
        <p class="step-note">{props.note ?? more}</p>
      </header>
      {props.children && <div class="step-body">{props.children}</div>}
    </section>
  );
}
