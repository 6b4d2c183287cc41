import { useEffect, useRef } from 'preact/hooks';
import * as format from '../format.js';
import { cancel } from '../actions/session.js';
import { type Picked, fromList } from '../files.js';
import * as store from '../store.js';
import { text } from '../strings.js';

/** A choice of a few, as radio buttons that look like one control. */
export function Segmented<T extends string>(props: {
  label: string;
  name: string;
  value: T;
  options: Record<T, string>;
  titles?: Record<T, string>;
  disabled?: boolean;
  change(value: T): void;
}) {
  const entries = Object.entries(props.options) as [T, string][];
  return (
    <fieldset class="segmented" data-name={props.name} disabled={props.disabled}>
      <legend>{props.label}</legend>
      <div class="segments">
        {entries.map(([value, label]) => (
          <label key={value} class="segment" title={props.titles?.[value]}>
            <input
              type="radio"
              name={props.name}
              value={value}
              checked={props.value === value}
              onChange={() => props.change(value)}
            />
            <span>{label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** A number with a label and a unit; empty means "not set" where `optional`. */
export function NumberField(props: {
  label: string;
  unit?: string;
  value: number | null;
  min: number;
  max?: number;
  step?: number | 'any';
  optional?: boolean;
  disabled?: boolean;
  change(value: number | null): void;
}) {
  return (
    <label class="field">
      <span class="field-label">{props.label}</span>
      <span class="field-line">
        <input
          type="number"
          inputMode="decimal"
          value={props.value ?? ''}
          min={props.min}
          max={props.max}
          step={props.step ?? 1}
          disabled={props.disabled}
          placeholder={props.optional ? '\u2013' : undefined}
          onChange={(event) => {
            const input = event.currentTarget;
            if (input.value === '' && props.optional) props.change(null);
            else if (input.value !== '' && input.checkValidity()) props.change(Number(input.value));
            else input.value = props.value === null ? '' : String(props.value);
          }}
        />
        {props.unit && <span class="unit">{props.unit}</span>}
      </span>
    </label>
  );
}

/** A slider over 0 to 95 percent whose filled part is what goes. */
export function Slider(props: { label: string; value: number; disabled: boolean; change(value: number): void }) {
  const input = useRef<HTMLInputElement>(null);
  const { value } = props;
  useEffect(() => {
    input.current?.style.setProperty('--fill', `${(value / 0.95) * 100}%`);
  }, [value]);
  return (
    <label class="slider">
      <span class="slider-label">
        {props.label}
        <output class="slider-value">{format.percent(value)}</output>
      </span>
      <input
        ref={input}
        type="range"
        min="0"
        max="0.95"
        step="0.01"
        value={value}
        disabled={props.disabled}
        aria-valuetext={format.percent(value)}
        onInput={(event) => props.change(Number(event.currentTarget.value))}
      />
    </label>
  );
}

export function FileButton(props: {
  label: string;
  accept: string;
  primary?: boolean;
  disabled?: boolean;
  multiple?: boolean;
  /** Choose a folder with all that is in it. */
  folder?: boolean;
  take(files: Picked[]): void;
}) {
  return (
    <label class={`button file-button${props.primary ? ' primary' : ''}`}>
      <input
        type="file"
        accept={props.accept}
        ref={(input) => {
          if (input) input.webkitdirectory = props.folder ?? false;
        }}
        disabled={props.disabled}
        multiple={props.multiple}
        onChange={(event) => {
          const input = event.currentTarget;
          const files = fromList(input.files ?? []);
          // The same file chosen twice should be read twice.
          input.value = '';
          if (files.length > 0) props.take(files);
        }}
      />
      {props.label}
    </label>
  );
}

export function StopButton() {
  const running = store.task.value;
  return (
    <button type="button" class="button quiet" disabled={running?.stopping ?? true} onClick={cancel}>
      {running?.stopping ? text.task.stopping : text.task.stop}
    </button>
  );
}

/** The running task's bar, if it is one of `names`. */
export function TaskProgress(props: { name: store.TaskName }) {
  const running = store.task.value;
  if (running?.name !== props.name) return null;
  const label = text.tasks[running.name];
  return (
    <div class="task">
      <span class="task-label">{label}</span>
      {running.total > 0 ? (
        <progress value={running.done} max={running.total} aria-label={label} />
      ) : (
        <progress aria-label={label} />
      )}
      <span class="task-count">
        {running.total > 0 ? `${format.exactly(running.done)} / ${format.exactly(running.total)}` : ''}
      </span>
      <StopButton />
    </div>
  );
}
