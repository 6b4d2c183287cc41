import { useSignal } from '@preact/signals';
import { lacking, scoreImages, timeLayers } from '../actions/model.js';
import { set } from '../actions/settings.js';
import { CRITERIA, type CriterionName, type Needs, single, written } from '../criteria.js';
import * as format from '../format.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { NumberField, TaskProgress } from './controls.js';

const MIXTURE = 'mixture';
const NEEDS = Object.keys(CRITERIA) as Needs[];

/** A text that is taken when the person is done with it. */
export function TextField(props: {
  label: string;
  help: string;
  value: string;
  disabled: boolean;
  wrong?: string | undefined;
  change(value: string): void;
}) {
  return (
    <label class="field field-wide">
      <span class="field-label">{props.label}</span>
      <input
        type="text"
        value={props.value}
        disabled={props.disabled}
        spellcheck={false}
        onChange={(event) => props.change(event.currentTarget.value)}
      />
      <span class={props.wrong ? 'hint problem' : 'hint'} role={props.wrong ? 'alert' : undefined}>
        {props.wrong ?? props.help}
      </span>
    </label>
  );
}

/** A choice of many. */
export function Choice<T extends string>(props: {
  label: string;
  value: T;
  options: Record<T, string>;
  disabled: boolean;
  change(value: T): void;
}) {
  return (
    <label class="field">
      <span class="field-label">{props.label}</span>
      <select value={props.value} disabled={props.disabled} onChange={(event) => props.change(event.currentTarget.value as T)}>
        {(Object.entries(props.options) as [T, string][]).map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Which measure, with its number or its mixture, and a sentence on what it looks at. */
export function Measure() {
  const busy = store.busy.value;
  const { criterion } = store.settings.value;
  const one = single(criterion);
  // A mixture of one term reads like that term; the box stays where the person put it.
  const mixed = useSignal(one === undefined);
  const chosen = one && !mixed.value ? one : undefined;
  const [, sentence] = chosen ? text.criteria[chosen.name] : [null, text.cut.mixtureHelp];
  return (
    <div class="measure">
      <label class="field">
        <span class="field-label">{text.cut.criterion}</span>
        <select
          class="measure-select"
          value={chosen?.name ?? MIXTURE}
          disabled={busy}
          onChange={(event) => {
            const name = event.currentTarget.value;
            mixed.value = name === MIXTURE;
            set({ criterion: mixed.value ? `${criterion}:1` : written(name as CriterionName) });
          }}
        >
          {NEEDS.map((needs) => (
            <optgroup key={needs} label={text.cut.groups[needs]}>
              {CRITERIA[needs].map((name) => (
                <option key={name} value={name}>
                  {text.criteria[name][0]}
                </option>
              ))}
            </optgroup>
          ))}
          <option value={MIXTURE}>{text.cut.mixture}</option>
        </select>
      </label>
      {(chosen?.name === 'lp' || chosen?.name === 'fpgm_mixed') && (
        <NumberField
          label={text.cut.number[chosen.name]}
          value={chosen.number}
          min={0}
          max={chosen.name === 'lp' ? 64 : 0.99}
          step="any"
          disabled={busy}
          change={(value) => set({ criterion: written(chosen.name, value ?? undefined) })}
        />
      )}
      {chosen ? (
        <p class="hint measure-more">{sentence}</p>
      ) : (
        <TextField
          label={text.cut.mixtureLabel}
          help={text.cut.mixtureHelp}
          value={criterion}
          disabled={busy}
          change={(value) => set({ criterion: value.trim() })}
        />
      )}
    </div>
  );
}

/** What the measure lacks, if it has to look at images. */
export function MeasureNeeds() {
  if (!store.unscored.value) return null;
  const lacks = lacking();
  return (
    <div class="needs" role="status">
      <p>{lacks ? text.cut.lacking[lacks] : text.cut.scoring}</p>
      {!lacks && store.task.value?.name !== 'score' && (
        <button type="button" class="button" disabled={store.busy.value} onClick={() => void scoreImages()}>
          {text.cut.look}
        </button>
      )}
      <TaskProgress name="score" />
    </div>
  );
}

/** A target in milliseconds needs times of layers. */
export function Times() {
  if (store.settings.value.targetKind !== 'latency') return null;
  const table = store.latencies.value;
  return (
    <div class="needs" role="status">
      <p>{table ? text.cut.timed(format.milliseconds(store.wholeTime(table)), table.device) : text.cut.time}</p>
      <button type="button" class="button" disabled={store.busy.value} onClick={() => void timeLayers()}>
        {table ? text.cut.timeAgain : text.cut.timeButton}
      </button>
      <TaskProgress name="latency" />
    </div>
  );
}
