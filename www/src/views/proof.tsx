import * as format from '../format.js';
import * as store from '../store.js';
import { text } from '../strings.js';
import { Step } from './step.js';
import { Told } from './told.js';

/** The scale runs from 1e-9 to 1e-2. */
const LOWEST = -9;
const HIGHEST = -2;

function position(value: number): number {
  const exponent = value > 0 ? Math.log10(value) : LOWEST;
  const clamped = Math.min(HIGHEST, Math.max(LOWEST, exponent));
  return ((clamped - LOWEST) / (HIGHEST - LOWEST)) * 100;
}

function Scale(props: { measured: number; limit: number }) {
  const at = position(props.measured);
  const limit = position(props.limit);
  const label = text.proof.scale(format.scientific(props.measured), format.scientific(props.limit));
  return (
    <svg class="scale" width="100%" height="50" role="img" aria-label={label}>
      <rect class="scale-ground" y="20" width="100%" height="4" rx="2" />
      <rect class="scale-room" y="20" width={`${limit}%`} height="4" rx="2" />
      <rect class="scale-limit" x={`${limit}%`} y="14" width="2" height="16" />
      <text class="scale-text" x={`${limit}%`} y="47" text-anchor="middle">
        {text.proof.limit} {format.scientific(props.limit)}
      </text>
      <circle class="scale-mark" cx={`${Math.max(1, at)}%`} cy="22" r="6" />
      <text class="scale-text" x={`${Math.max(1, at)}%`} y="9" text-anchor={at < 8 ? 'start' : 'middle'}>
        {props.measured === 0 ? text.proof.same : format.scientific(props.measured)}
      </text>
    </svg>
  );
}

export function ProofStep() {
  const cut = store.cut.value;
  if (!cut) return <Step id="proof" state="waiting" note={text.proof.needs} />;
  const { exact, max_error, tolerance, renormalised, not_proved, elsewhere } = cut.summary;
  if (max_error === null) {
    return (
      <Step id="proof" state="open" note={elsewhere ? text.proof.elsewhere : text.proof.notRun}>
        <p class="lead">{not_proved !== null && <Told message={not_proved} />}</p>
      </Step>
    );
  }
  const passed = !exact || max_error <= tolerance;
  const verdict = !passed ? text.proof.failed : exact ? text.proof.passed : text.proof.close;
  return (
    <Step id="proof" state={passed ? 'done' : 'open'} note={verdict}>
      <p class="lead">{text.proof.how}</p>
      <Scale measured={max_error} limit={tolerance} />
      {renormalised.length > 0 && (
        <p class="hint">
          {text.proof.renormalised}{' '}
          {renormalised.map((node) => (
            <code key={node}>{node}</code>
          ))}
        </p>
      )}
    </Step>
  );
}
